// The rows of a batch shared among threads, and where there are fewer rows than threads the units. Rows do not depend on
// each other, so nothing waits inside the time loop; units do, from step to step. Either way results are the same for any
// number of threads.
#pragma once

#include <algorithm>
#include <atomic>
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

// What units are shared for: so many multiplications in a step, and in all.
constexpr int64_t WORTH_A_WAIT = 1 << 14, WORTH_A_TEAM = 1 << 22;

// Calls that shall go without a team, as one before had to wait for long: other programs use the cores.
inline std::atomic<int64_t> resting{0};

// Whether a team of so many threads is to be tried.
inline bool is_worth_a_team(const Sequences& s, int64_t weights, int64_t all, int64_t members) {
  if (s.rows == 0 || members < 2 || members <= s.rows || weights < WORTH_A_WAIT || all < WORTH_A_TEAM) return false;
  return resting.load(std::memory_order_relaxed) == 0 || resting.fetch_sub(1, std::memory_order_relaxed) <= 0;
}

// work(share) for shares of about equal sums of lengths, which make up all rows; `weights` multiplications a row and
// step.
template <typename Work>
inline void in_shares(const Sequences& s, int64_t weights, bool by_units, const Work& work) {
  const int64_t steps = multiplications(s, 1), members = std::min({s.threads, s.hidden_size / 32, MOST_THREADS});
  if (by_units && is_worth_a_team(s, weights, steps * weights, members)) {
    // a pause takes some 40 cycles, in which one thread multiplies some 250 numbers
    Team team{members, steps * weights / 250, false, {0}, {0}, {0}};
    in_parts(members, [&](int64_t member) { work(Share{0, s.rows, &team, member}); });
    if (team.tired) resting.store(16, std::memory_order_relaxed);
    return;
  }
  int64_t parts = 1 + steps * weights / WORTH;
  for (const int64_t most : std::initializer_list<int64_t>{s.threads, s.rows, MOST_THREADS}) {
    parts = parts < most ? parts : most;
  }
  if (parts <= 1) return work(Share{0, s.rows, nullptr, 0});
  int64_t bounds[MOST_THREADS + 1] = {0}, part = 1, before = 0, length = s.steps;
  for (int64_t row = 0; row < s.rows && part < parts; ++row) {
    while (length > 0 && s.active[length - 1] <= row) --length;
    before += length;
    if (before * parts >= steps * part) bounds[part++] = row + 1;
  }
  while (part <= parts) bounds[part++] = s.rows;
  in_parts(parts, [&](int64_t index) { work(Share{bounds[index], bounds[index + 1], nullptr, 0}); });
}
