// The rows of a batch shared among threads. Rows do not depend on each other, so nothing waits inside the time loop and
// results are the same for any number of threads.
#pragma once

#include <initializer_list>

#include "kernels.hpp"
#include "threads.hpp"

// How many threads pay: one for each WORTH multiplications with the weights, and no more than there are rows.
constexpr int64_t WORTH = 1 << 20;

// Multiplications with the weights in all steps of all rows; `weights` of them a row and step.
inline int64_t multiplications(const Sequences& s, int64_t weights) {
  int64_t steps = 0;
  for (int64_t t = 0; t < s.steps; ++t) steps += s.active[t];
  return steps * weights;
}

// work(share) for shares of about equal sums of lengths, which make up all rows; `weights` multiplications a row and
// step.
template <typename Work>
inline void in_shares(const Sequences& s, int64_t weights, const Work& work) {
  const int64_t steps = multiplications(s, 1);
  int64_t parts = 1 + steps * weights / WORTH;
  for (const int64_t most : std::initializer_list<int64_t>{s.threads, s.rows, MOST_THREADS}) {
    parts = parts < most ? parts : most;
  }
  if (parts <= 1) return work(Share{0, s.rows});
  int64_t bounds[MOST_THREADS + 1] = {0}, part = 1, before = 0, length = s.steps;
  for (int64_t row = 0; row < s.rows && part < parts; ++row) {
    while (length > 0 && s.active[length - 1] <= row) --length;
    before += length;
    if (before * parts >= steps * part) bounds[part++] = row + 1;
  }
  while (part <= parts) bounds[part++] = s.rows;
  in_parts(parts, [&](int64_t index) { work(Share{bounds[index], bounds[index + 1]}); });
}
