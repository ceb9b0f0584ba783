// Included by narrow.hpp once for each way to add up products; RECURRA_DOTS says which processors it is for.

// sums[row][gate] += rows · weights, as pack_narrow laid them.
template <int R, int C>
RECURRA_DOTS inline void add_narrow(const uint8_t* rows, int64_t bytes, const float* row_scales, const char* weights,
                                    int64_t count, Lanes<float> (&sums)[R][C]) {
  constexpr int64_t lanes = Width<float>::lanes;
  const float* scales = reinterpret_cast<const float*>(weights);
  const UnalignedWholes* offsets = reinterpret_cast<const UnalignedWholes*>(weights + C * lanes * 4);
  weights += 2 * C * lanes * 4;
  Wholes high[R][C] = {}, low[R][C] = {};
  for (int64_t group = 0; group < groups_of(count); ++group, weights += C * lanes * 4) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      int32_t highs, lows;
      memcpy(&highs, rows + 2 * r * bytes + group * GROUP, 4);
      memcpy(&lows, rows + (2 * r + 1) * bytes + group * GROUP, 4);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        high[r][c] = dots(high[r][c], highs, weights + c * lanes * 4);
        low[r][c] = dots(low[r][c], lows, weights + c * lanes * 4);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const Lanes<float> whole = __builtin_convertvector(high[r][c] - Wholes(offsets[c]), Lanes<float>) * 128 +
                                 __builtin_convertvector(low[r][c], Lanes<float>);
      sums[r][c] += whole * (load(scales + c * lanes) * row_scales[r]);
    }
  }
}

template <int kind>
struct NarrowUnits {
  const Rows<float>& s;
  const NarrowRows& narrow;
  const char* packed;  // this block's
  int64_t unit, wide;

  template <int R>
  RECURRA_DOTS void rows(int64_t first) const {
    constexpr int64_t lanes = Width<float>::lanes;
    constexpr int gates = gates_of(kind);
    const int64_t I = s.layer.input_size, H = s.layer.hidden_size, x = padded_bytes(I), h = padded_bytes(H);
    const float* biases = reinterpret_cast<const float*>(packed);
    const char* weights = packed + biases_of(kind) * lanes * 4;
    Lanes<float> sums[R][gates], candidates[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; ++gate) sums[r][gate] = load(biases + gate * lanes);
    }
    add_narrow<R, gates>(narrow.x + 2 * first * x, x, narrow.x_scales + first, weights, I, sums);
    if constexpr (kind == 3) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        candidates[r] = sums[r][2];
        sums[r][2] = load(biases + 3 * lanes);
      }
    }
    weights += (2 + groups_of(I)) * gates * lanes * 4;
    add_narrow<R, gates>(narrow.hidden + 2 * first * h, h, narrow.hidden_scales + first, weights, H, sums);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) finish_unit<float, kind>(s, first + r, unit, wide, sums[r], candidates[r]);
  }
};

template <int kind>
void step_units(const Rows<float>& s, const NarrowRows& narrow, int64_t rows) {
  constexpr int64_t lanes = Width<float>::lanes;
  const int64_t I = s.layer.input_size, H = s.layer.hidden_size, gates = gates_of(kind);
  const char* packed = static_cast<const char*>(s.layer.packed);
  for (int64_t unit = 0; unit < H; unit += lanes) {
    in_tiles<NARROW_ROWS>(NarrowUnits<kind>{s, narrow, packed, unit, H - unit < lanes ? H - unit : lanes}, 0, rows);
    packed += (biases_of(kind) + (4 + groups_of(I) + groups_of(H)) * gates) * lanes * 4;
  }
}
