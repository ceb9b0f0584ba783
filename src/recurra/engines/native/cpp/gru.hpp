// The chain of a GRU: r, z = σ(a + U·h), n = tanh(a_n + r ∘ (U_n·h + c_n)), h' = n + z ∘ (h − n).

template <typename T, bool halved>
struct GRURows {
  int64_t H, apart;                   // units; numbers from one row of `inputs` to the next
  const T *inputs, *packed, *before;  // of this step: [rows, 3·H], a block of weights, the hidden states before it
  T *after, *kept;                    // the hidden states after it; U_n·h + c_n, r, z and n [rows, 4·H], or null
  int64_t unit;                       // the block's first unit

  template <int R>
  RECURRA_APART void rows(int64_t first) const {
    constexpr int64_t lanes = Width<T>::lanes;
    Lanes<T> sums[R][1][3];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int gate = 0; gate < 3; ++gate) sums[r][0][gate] = load(packed + gate * lanes);
    }
    add_in_order<R, 1, 3, halved, T>(before + first * H, H, packed + 3 * lanes, 0, H, sums);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) gates(first + r, sums[r][0]);
  }

  void gates(int64_t row, const Lanes<T> (&sums)[3]) const {
    const int64_t wide = H - unit;
    const T* input = inputs + row * apart + unit;
    const Lanes<T> r = sigmoid(load(input, wide) + sums[0]);
    const Lanes<T> z = sigmoid(load(input + H, wide) + sums[1]);
    const Lanes<T> n = hyperbolic_tangent(load(input + 2 * H, wide) + r * sums[2]);
    const Lanes<T> h = load(before + row * H + unit, wide);
    store(after + row * H + unit, n + z * (h - n), wide);
    if (kept != nullptr) {
      T* keep = kept + row * 4 * H + unit;
      store(keep, sums[2], wide);
      store(keep + H, r, wide);
      store(keep + 2 * H, z, wide);
      store(keep + 3 * H, n, wide);
    }
  }
};

// The rows of `inputs` are s.apart numbers from each other: they may stand in `kept`, where r, z and n will.
template <typename T>
void gru_forward(const Sequences& s, Share share, const T* inputs, const T* packed, const T* hidden, T* outputs,
                 T* ends, T* kept) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t H = s.hidden_size;
  if (share.member == 0) keep_ends(hidden, ends, share.first, share.last, H);
  forwards_by_units(s, share, [&](int64_t t, int64_t start, int64_t last, int64_t from, int64_t to) {
    T *after = outputs + start * H, *keep = kept == nullptr ? nullptr : kept + start * 4 * H;
    const T* read = before(s, t, start, hidden, outputs, H);
    for_weights<T>(s.halved, [&](auto halved) {
      const int64_t block = (1 + words_of<halved.value>(H)) * 3 * lanes;
      for (int64_t unit = from; unit < to; unit += lanes) {
        const T* weights = packed + unit / lanes * block;
        const GRURows<T, halved.value> rows{H, s.apart, inputs + start * s.apart, weights, read, after, keep, unit};
        in_tiles<tallest<3>()>(rows, share.first, last);
      }
    });
    keep_ends(after, ends, last_of(s, share, t + 1), last, H, from, to);
  });
}

// From the gradients of outputs [N, H] and ends [rows, H] to those of U_n·h + c_n, r, z and n before their functions,
// [N, 4·H], which may be `kept`: the first three are those of U·h + c, its rows in the order n, r, z, as in `packed`, and
// the last three of W·x + b. `carried` holds the gradients of the ends at first and of the initial states at last.
template <typename T>
void gru_backward(const Sequences& s, Share share, const T* packed, const T* hidden, const T* outputs, const T* kept,
                  const T* given, T* carried, T* to_sums) {
  const int64_t H = s.hidden_size;
  const auto gates = [&](int64_t t, int64_t start, int64_t last, int64_t from, int64_t to) {
    const T* read = before(s, t, start, hidden, outputs, H);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(from, to, [&](int64_t unit, int64_t wide) {
        const int64_t at = start + row;
        const T* keep = kept + at * 4 * H + unit;
        const Lanes<T> product = load(keep, wide), r = load(keep + H, wide), z = load(keep + 2 * H, wide);
        const Lanes<T> n = load(keep + 3 * H, wide), h = load(read + row * H + unit, wide);
        const Lanes<T> d = load(carried + row * H + unit, wide) + load(given + at * H + unit, wide);
        const Lanes<T> dn = d * (1 - z) * (1 - n * n), dz = d * (h - n) * z * (1 - z);
        const Lanes<T> dr = dn * product * r * (1 - r);
        T* sums = to_sums + at * 4 * H + unit;
        store(sums, dn * r, wide);
        store(sums + H, dr, wide);
        store(sums + 2 * H, dz, wide);
        store(sums + 3 * H, dn, wide);
        store(carried + row * H + unit, d * z, wide);
      });
    }
  };
  backwards_by_units(s, share, gates, [&](int64_t, int64_t start, int64_t last, int64_t from, int64_t to) {
    add_columns(s, to_sums + start * 4 * H, packed, carried, share.first, last, 3 * H, H, 4 * H, from, to);
  });
}
