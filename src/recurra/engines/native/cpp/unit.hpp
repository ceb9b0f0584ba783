// The kernels of one unit; the including file has set RECURRA_UNIT, RECURRA_BYTES and RECURRA_REGISTERS. All is in a
// namespace without a name, so that the linker never takes one unit's code, made for another processor, for another's.
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels.hpp"

namespace {
#include "lanes.hpp"
#include "tile.hpp"
#include "team.hpp"
#include "rows.hpp"
#include "gru.hpp"
#include "lstm.hpp"
#include "step.hpp"
#include "normalization.hpp"
#include "rnn.hpp"
#include "indrnn.hpp"
#include "lstm_peephole.hpp"
#include "lstm_layernorm.hpp"
#include "gru_layernorm.hpp"
#include "lstm_projection.hpp"
#include "scan.hpp"

// A chain called with its pointers in an array, in the order of its parameters.
template <auto kernel>
struct Called;
template <typename... Pointers, void (*kernel)(const Sequences&, Share, Pointers...)>
struct Called<kernel> {
  template <size_t... index>
  static void in_order(const Sequences& s, Share share, void* const* places, std::index_sequence<index...>) {
    kernel(s, share, static_cast<Pointers>(places[index])...);
  }
  static void run(const Sequences& s, Share share, void* const* places) {
    in_order(s, share, places, std::index_sequence_for<Pointers...>{});
  }
};

// The packings, `from` being matrices of T, or halved of bfloat16.
template <typename T>
void gates_packed(bool halved, const void* from, const T* bias, int64_t gates, int64_t H, int64_t K, T* packed) {
  for_weights<T>(halved, [&](auto half) { pack_gates<T, half.value>(from, bias, gates, H, K, packed); });
}

template <typename T>
void columns_packed(bool halved, const void* from, int64_t K, int64_t H, T* packed) {
  for_weights<T>(halved, [&](auto half) { pack_columns<T, half.value>(from, K, H, packed); });
}

template <typename T>
void rows_packed(bool halved, const void* from, int64_t K, int64_t N, T* packed) {
  for_weights<T>(halved, [&](auto half) { pack_rows<T, half.value>(from, K, N, packed); });
}

template <typename T>
constexpr Kernels<T> kernels() {
  return {Width<T>::lanes, gates_packed<T>, columns_packed<T>, pack_layer<T>,
          step_rows<T>,    step_along<T>,   step_scaled<T>,    rows_packed<T>,
#define RECURRA_CHAIN(name, by_units) Called<name<T>>::run,
          RECURRA_CHAINS(RECURRA_CHAIN)
#undef RECURRA_CHAIN
  };
}
}  // namespace

const Unit RECURRA_UNIT = {kernels<float>(), kernels<double>(), pack_narrow_layer};
