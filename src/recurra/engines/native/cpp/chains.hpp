// The names of the chains that are called with their pointers in an array.
#pragma once

#define RECURRA_CHAINS(X)     \
  X(gru_forward)              \
  X(gru_backward)             \
  X(lstm_forward)             \
  X(lstm_backward)            \
  X(rnn_tanh_forward)         \
  X(rnn_tanh_backward)        \
  X(rnn_relu_forward)         \
  X(rnn_relu_backward)        \
  X(indrnn_forward)           \
  X(indrnn_backward)          \
  X(lstm_peephole_forward)    \
  X(lstm_peephole_backward)   \
  X(lstm_layernorm_forward)   \
  X(lstm_layernorm_backward)  \
  X(gru_layernorm_forward)    \
  X(gru_layernorm_backward)   \
  X(lstm_projection_forward)  \
  X(lstm_projection_backward) \
  X(scan_forward)             \
  X(scan_backward)
