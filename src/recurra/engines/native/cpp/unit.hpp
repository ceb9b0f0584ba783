// The kernels of one unit; the including file has set RECURRA_UNIT, RECURRA_BYTES and RECURRA_REGISTERS. All is in a
// namespace without a name, so that the linker never takes one unit's code, made for another processor, for another's.
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels.hpp"

namespace {
#include "lanes.hpp"
#include "tile.hpp"
#include "gru.hpp"
#include "lstm.hpp"
#include "step.hpp"

template <typename T>
constexpr Kernels<T> kernels() {
  return {Width<T>::lanes, pack_gates<T>, gru_forward<T>, gru_backward<T>, lstm_forward<T>, lstm_backward<T>,
          pack_layer<T>, step_rows<T>, step_along<T>, step_scaled<T>};
}
}  // namespace

const Unit RECURRA_UNIT = {kernels<float>(), kernels<double>(), pack_narrow_layer};
