// The plain C interface. Nothing is checked here: `check.py` stands before every call.
#include "kernels.hpp"
#include "shares.hpp"

namespace {
// 0 portable, 1 AVX2, 2 AVX-512: the best that this processor has.
int best() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    return 2;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

const Unit& unit_of(int level) {
#if defined(__x86_64__)
  if (level == 2) return avx512_unit;
  if (level == 1) return avx2_unit;
#endif
  (void)level;
  return portable_unit;
}

template <typename T>
const Kernels<T>& of(const Unit& unit);
template <>
const Kernels<float>& of<float>(const Unit& unit) {
  return unit.single;
}
template <>
const Kernels<double>& of<double>(const Unit& unit) {
  return unit.twice;
}
}  // namespace

#define RECURRA_EXPORT extern "C" __attribute__((visibility("default")))

// Goes up with every change of what follows; `library.py` refuses another.
RECURRA_EXPORT int recurra_interface() { return 8; }

RECURRA_EXPORT int recurra_best_level() { return best(); }

#define RECURRA_KERNELS(T, suffix)                                                                                     \
  RECURRA_EXPORT int64_t recurra_lanes_##suffix(int level) { return of<T>(unit_of(level)).lanes; }                     \
  RECURRA_EXPORT void recurra_pack_gates_##suffix(int level, int halved, const void* weights, const T* bias,           \
                                                  int64_t gates, int64_t hidden_size, int64_t columns, T* packed) {    \
    of<T>(unit_of(level)).pack_gates(halved, weights, bias, gates, hidden_size, columns, packed);                      \
  }                                                                                                                    \
  RECURRA_EXPORT void recurra_pack_rows_##suffix(int level, int halved, const void* weights, int64_t read,             \
                                                 int64_t given, T* packed) {                                           \
    of<T>(unit_of(level)).pack_rows(halved, weights, read, given, packed);                                             \
  }                                                                                                                    \
  RECURRA_EXPORT void recurra_pack_columns_##suffix(int level, int halved, const void* weights, int64_t read,          \
                                                    int64_t given, T* packed) {                                        \
    of<T>(unit_of(level)).pack_columns(halved, weights, read, given, packed);                                          \
  }                                                                                                                    \
  RECURRA_EXPORT void recurra_pack_layer_##suffix(int level, int64_t kind, const T* weight_ih, const T* weight_hh,     \
                                                  const T* bias_ih, const T* bias_hh, int64_t input_size,              \
                                                  int64_t hidden_size, T* packed) {                                    \
    of<T>(unit_of(level))                                                                                              \
        .pack_layer(kind, weight_ih, weight_hh, bias_ih, bias_hh, input_size, hidden_size, packed);                    \
  }                                                                                                                    \
  RECURRA_EXPORT void recurra_step_rows_##suffix(const Plan* p, int64_t rows, const int64_t* ids, T* state,            \
                                                 const T* x, T* y) {                                                   \
    of<T>(unit_of(p->level)).step_rows(p, rows, ids, state, x, y);                                                     \
  }                                                                                                                    \
  RECURRA_EXPORT void recurra_step_along_##suffix(const Plan* p, int64_t rows, int64_t steps, T* state, const T* x,    \
                                                  T* y) {                                                              \
    of<T>(unit_of(p->level)).step_along(p, rows, steps, state, x, y);                                                  \
  }                                                                                                                    \
  RECURRA_EXPORT int recurra_step_scaled_##suffix(const Plan* p, T* state, const double* raw, T* y) {                  \
    return of<T>(unit_of(p->level)).step_scaled(p, state, raw, y);                                                     \
  }

// `weights`: multiplications a row and step.
#define RECURRA_CHAIN_OF(name, by_units, T, suffix)                                                                              \
  RECURRA_EXPORT void recurra_##name##_##suffix(int level, const Sequences* s, int64_t weights, void* const* places) { \
    const Chain chain = of<T>(unit_of(level)).name;                                                                    \
    in_shares(*s, weights, by_units, [&](Share share) { chain(*s, share, places); });                                            \
  }
#define RECURRA_CHAIN(name, by_units)          \
  RECURRA_CHAIN_OF(name, by_units, float, f32) \
  RECURRA_CHAIN_OF(name, by_units, double, f64)

RECURRA_CHAINS(RECURRA_CHAIN)
RECURRA_EXPORT void recurra_pack_narrow(int level, int64_t kind, const float* weight_ih, const float* weight_hh,
                                        const float* bias_ih, const float* bias_hh, int64_t input_size,
                                        int64_t hidden_size, void* packed) {
  unit_of(level).pack_narrow(kind, weight_ih, weight_hh, bias_ih, bias_hh, input_size, hidden_size, packed);
}

// Whether the processor adds up products of bytes in one instruction.
RECURRA_EXPORT int recurra_has_vnni() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return best() == 2 && __builtin_cpu_supports("avx512vnni");
#else
  return 0;
#endif
}

RECURRA_EXPORT int64_t recurra_plan_space(const Plan* p) { return space_of(*p); }

RECURRA_KERNELS(float, f32)
RECURRA_KERNELS(double, f64)

// A chain that is to be run, and what it is to be given.
struct Call {
  void (*chain)(int, const Sequences*, int64_t, void* const*);
  int64_t level;
  const Sequences* sequences;
  int64_t weights;
  void* const* places;
};

// Calls that do not depend on each other, at the same time where that pays; each also shares its rows.
RECURRA_EXPORT void recurra_together(const Call* calls, int64_t count, int64_t threads) {
  int64_t all = 0;
  for (int64_t i = 0; i < count; ++i) all += multiplications(*calls[i].sequences, calls[i].weights);
  int64_t parts = 1 + all / WORTH;
  for (const int64_t most : {count, threads}) parts = parts < most ? parts : most;
  in_parts(parts, [&](int64_t part) {
    for (int64_t i = part; i < count; i += parts) {
      calls[i].chain(static_cast<int>(calls[i].level), calls[i].sequences, calls[i].weights, calls[i].places);
    }
  });
}
