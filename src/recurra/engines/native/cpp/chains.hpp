// The chains, called with their pointers in an array, and whether threads may share the units of their rows.
#pragma once

#define RECURRA_CHAINS(X)            \
  X(gru_forward, true)               \
  X(gru_backward, true)              \
  X(lstm_forward, true)              \
  X(lstm_backward, true)             \
  X(rnn_tanh_forward, true)          \
  X(rnn_tanh_backward, true)         \
  X(rnn_relu_forward, true)          \
  X(rnn_relu_backward, true)         \
  X(indrnn_forward, false)           \
  X(indrnn_backward, false)          \
  X(lstm_peephole_forward, false)    \
  X(lstm_peephole_backward, false)   \
  X(lstm_layernorm_forward, false)   \
  X(lstm_layernorm_backward, false)  \
  X(gru_layernorm_forward, false)    \
  X(gru_layernorm_backward, false)   \
  X(lstm_projection_forward, false)  \
  X(lstm_projection_backward, false) \
  X(scan_forward, false)             \
  X(scan_backward, false)
