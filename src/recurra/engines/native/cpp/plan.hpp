// What is stepped, as the caller lays it out; the caller owns all that is pointed to.
#pragma once

#include <cstdint>

// A layer: kind 1 tanh, 2 relu, 3 GRU, 4 LSTM. A row's hidden states begin at `hidden` in its state, in numbers, those
// after the last `dilation` steps, the oldest first; its cells at `cell` in the same way.
struct Layer {
  int64_t kind, input_size, hidden_size, dilation, residual, hidden, cell;
  int64_t narrow;  // its weights are of 8 bits
  const void* packed;
};

// A pooling: kind 1 last, 2 mean, 3 maximum, 4 attention. Its values begin at `values` in a row's state, its count of
// steps (int64) at `count`; of attention the highest score stands at `count`, the normalizer at `normalizer`.
struct Summary {
  int64_t kind, values, count, normalizer;
  const void *packed, *query;
};

// A stack, from the input to what is given out: the last layer's outputs, or a head's of the summaries.
struct Plan {
  int64_t level, input_size, output_size;
  int64_t state_size;  // numbers of a row's state
  int64_t block;       // rows at once
  int64_t widest;      // features of the widest layer
  int64_t vnni;        // the processor has the instruction
  int64_t layers, summaries;
  int64_t summary_size, summary_inputs;  // features that are summarised; how many of them are the inputs, at the end
  const Layer* layer;
  const Summary* summary;
  const void* head;
  const double *mean, *std;  // of the inputs
  void* space;               // space_of(plan) numbers
};

// Numbers that a plan computes in: two layers' outputs, new cells, what is summarised, all summaries, gathered rows,
// scaled inputs; then, of narrow layers, the scales and bytes of inputs and hidden states.
inline int64_t narrow_at(const Plan& plan) {
  const int64_t row = 3 * plan.widest + (1 + plan.summaries) * plan.summary_size + plan.state_size;
  return plan.block * row + plan.input_size;
}

inline int64_t space_of(const Plan& plan) {
  const int64_t wide = plan.widest > plan.input_size ? plan.widest : plan.input_size;
  return narrow_at(plan) + plan.block * (2 + wide + 16);  // four bytes a feature, rows of bytes padded to 16
}
