// Weights of 8 bits, a scale a row; inputs and hidden states of 14 bits, so that only the weights lose accuracy. All sums
// are of whole numbers, exact, so every processor gives the same ones.

typedef int32_t Wholes __attribute__((vector_size(RECURRA_BYTES)));
typedef int32_t UnalignedWholes __attribute__((vector_size(RECURRA_BYTES), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(RECURRA_BYTES / 4)));

constexpr int64_t GROUP = 4;  // products that are added up at once
constexpr int64_t PADDED = 16;  // bytes: the most lanes that a unit has

inline int64_t groups_of(int64_t count) { return blocks_of(count, GROUP); }
inline int64_t padded_bytes(int64_t count) { return blocks_of(count, PADDED) * PADDED; }

// One matrix's part of a block: weights [gates · H, K] → scales and 64 · Σ q [gates][lanes], q [K / 4][gates][lanes][4].
inline char* pack_narrow(const float* weights, int64_t gates, int64_t H, int64_t K, int64_t first, char* to) {
  constexpr int64_t lanes = Width<float>::lanes;
  float* scales = reinterpret_cast<float*>(to);
  int32_t* sums = reinterpret_cast<int32_t*>(to) + gates * lanes;
  int8_t* narrow = reinterpret_cast<int8_t*>(to) + 2 * gates * lanes * 4;
  for (int64_t gate = 0; gate < gates; ++gate) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const int64_t unit = first + lane, at = gate * lanes + lane;
      const float* row = unit < H ? weights + (gate * H + unit) * K : nullptr;
      float largest = 0;
      for (int64_t k = 0; row != nullptr && k < K; ++k) largest = row[k] > largest ? row[k] : -row[k] > largest ? -row[k] : largest;
      scales[at] = largest / 127;
      sums[at] = 0;
      for (int64_t k = 0; k < groups_of(K) * GROUP; ++k) {
        const float exact = row != nullptr && k < K && largest > 0 ? row[k] / scales[at] : 0;
        const int whole = static_cast<int>(exact < 0 ? exact - 0.5f : exact + 0.5f);
        narrow[((k / GROUP * gates + gate) * lanes + lane) * GROUP + k % GROUP] = static_cast<int8_t>(whole);
        sums[at] += 64 * whole;
      }
    }
  }
  return to + (2 + groups_of(K)) * gates * lanes * 4;
}

// As pack_layer; blocks of [biases][lanes] and the two matrices.
inline void pack_narrow_layer(int64_t kind, const float* weight_ih, const float* weight_hh, const float* bias_ih,
                              const float* bias_hh, int64_t I, int64_t H, void* packed) {
  constexpr int64_t lanes = Width<float>::lanes;
  const int64_t gates = gates_of(kind);
  char* to = static_cast<char*>(packed);
  for (int64_t first = 0; first < H; first += lanes) {
    pack_biases(kind, bias_ih, bias_hh, H, first, reinterpret_cast<float*>(to));
    to = pack_narrow(weight_ih, gates, H, I, first, to + biases_of(kind) * lanes * 4);
    to = pack_narrow(weight_hh, gates, H, H, first, to);
  }
}

// Numbers of 14 bits: v = round(x / scale) + 8192 = 128 · high + low, each of 7 bits. `scale` is no number where x has one.
inline void narrow_row(const float* x, int64_t count, uint8_t* high, uint8_t* low, float* scale) {
  constexpr int64_t lanes = Width<float>::lanes;
  Lanes<float> largest = {}, poison = {};
  for (int64_t i = 0; i < count; i += lanes) {
    const Lanes<float> value = load(x + i, count - i), size = value < 0 ? -value : value;
    largest = size > largest ? size : largest;
    poison += value - value;
  }
  float most = 0, poisoned = 0;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    most = largest[lane] > most ? largest[lane] : most;
    poisoned += poison[lane];
  }
  *scale = most / 8191 + poisoned;
  const float by = *scale > 1e-30f ? 1 / *scale : 0;  // so small numbers are zeros
  if (by == 0) *scale = poisoned;
  for (int64_t i = 0; i < count; i += lanes) {
    Lanes<float> value = load(x + i, count - i) * by + 8192.5f;
    value = value < 16383 ? value : Lanes<float>{} + 16383;
    value = value > 0 ? value : Lanes<float>{};
    const Wholes whole = __builtin_convertvector(value, Wholes);
    const Bytes highs = __builtin_convertvector(whole >> 7, Bytes), lows = __builtin_convertvector(whole & 127, Bytes);
    memcpy(high + i, &highs, sizeof highs);
    memcpy(low + i, &lows, sizeof lows);
  }
}

// Rows of a layer, as narrow_row left them: [rows][high, low][padded_bytes], and the scales.
struct NarrowRows {
  const uint8_t *x, *hidden;
  const float *x_scales, *hidden_scales;
};

#if RECURRA_REGISTERS == 32
constexpr int NARROW_ROWS = 3;
#else
constexpr int NARROW_ROWS = 1;
#endif

namespace plain_dots {
#define RECURRA_DOTS
inline Wholes dots(Wholes sums, int32_t four, const char* weights) {
#if defined(__AVX512BW__)
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi32(four), _mm512_loadu_si512(weights));
  return sums + reinterpret_cast<Wholes>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#elif defined(__AVX2__)
  const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi32(four), read);
  return sums + reinterpret_cast<Wholes>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#else
  uint8_t bytes[4];
  memcpy(bytes, &four, 4);
  for (int lane = 0; lane < Width<float>::lanes; ++lane) {
    for (int i = 0; i < 4; ++i) sums[lane] += bytes[i] * static_cast<int8_t>(weights[4 * lane + i]);
  }
  return sums;
#endif
}
#include "narrow_step.hpp"
#undef RECURRA_DOTS
}  // namespace plain_dots

#if defined(__AVX512BW__)
namespace vnni_dots {  // one instruction for a processor that has it
#define RECURRA_DOTS __attribute__((target("avx512vnni")))
RECURRA_DOTS inline Wholes dots(Wholes sums, int32_t four, const char* weights) {
  const __m512i added = _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), _mm512_set1_epi32(four), _mm512_loadu_si512(weights));
  return reinterpret_cast<Wholes>(added);
}
#include "narrow_step.hpp"
#undef RECURRA_DOTS
}  // namespace vnni_dots
#endif

template <int kind>
void step_narrow(const Rows<float>& s, int64_t rows, bool vnni, uint8_t* bytes, float* scales) {
  const int64_t I = s.layer.input_size, H = s.layer.hidden_size;
  const int64_t wide = padded_bytes(I), high = padded_bytes(H);
  uint8_t* hidden = bytes + rows * 2 * wide;
  for (int64_t row = 0; row < rows; ++row) {
    uint8_t *own = bytes + row * 2 * wide, *state = hidden + row * 2 * high;
    narrow_row(s.x + row * s.x_stride, I, own, own + wide, scales + row);
    narrow_row(s.state + row * s.state_stride + s.layer.hidden, H, state, state + high, scales + rows + row);
  }
  const NarrowRows narrow{bytes, hidden, scales, scales + rows};
#if defined(__AVX512BW__)
  if (vnni) return vnni_dots::step_units<kind>(s, narrow, rows);
#endif
  (void)vnni;
  plain_dots::step_units<kind>(s, narrow, rows);
}
