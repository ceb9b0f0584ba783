// The chain of an LSTM: i, f, g, o = σ, σ, tanh, σ(a + U·h), c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c').

template <typename T, bool halved>
struct LSTMRows {
  int64_t H;
  const T *packed, *before;             // a block of weights, and the hidden states before this step
  T *after, *cells, *gates, *all_cells;  // of this step: as in lstm_forward; cells [rows, H], in place
  int64_t unit;                         // the block's first unit

  template <int R>
  RECURRA_APART void rows(int64_t first) const {
    constexpr int64_t lanes = Width<T>::lanes;
    Lanes<T> sums[R][1][4];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int gate = 0; gate < 4; ++gate) sums[r][0][gate] = load(packed + gate * lanes);
    }
    add_in_order<R, 1, 4, halved, T>(before + first * H, H, packed + 4 * lanes, 0, H, sums);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) end(first + r, sums[r][0]);
  }

  void end(int64_t row, const Lanes<T> (&sums)[4]) const {
    const int64_t wide = H - unit;
    T* gate = gates + row * 4 * H + unit;
    const Lanes<T> i = sigmoid(load(gate, wide) + sums[0]);
    const Lanes<T> f = sigmoid(load(gate + H, wide) + sums[1]);
    const Lanes<T> g = hyperbolic_tangent(load(gate + 2 * H, wide) + sums[2]);
    const Lanes<T> o = sigmoid(load(gate + 3 * H, wide) + sums[3]);
    T* place = cells + row * H + unit;
    const Lanes<T> cell = f * load(place, wide) + i * g;
    store(place, cell, wide);
    store(after + row * H + unit, o * hyperbolic_tangent(cell), wide);
    if (all_cells != nullptr) {
      store(gate, i, wide);
      store(gate + H, f, wide);
      store(gate + 2 * H, g, wide);
      store(gate + 3 * H, o, wide);
      store(all_cells + row * H + unit, cell, wide);
    }
  }
};

// As lstm_peephole_forward, but that the gates are computed where their sums are, in registers.
template <typename T>
void lstm_forward(const Sequences& s, Share share, const T* packed, const T* hidden, T* cells, T* outputs, T* ends,
                  T* gates, T* all_cells) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t H = s.hidden_size;
  if (share.member == 0) keep_ends(hidden, ends, share.first, share.last, H);
  forwards_by_units(s, share, [&](int64_t t, int64_t start, int64_t last, int64_t from, int64_t to) {
    T *after = outputs + start * H, *kept = all_cells == nullptr ? nullptr : all_cells + start * H;
    const T* read = before(s, t, start, hidden, outputs, H);
    for_weights<T>(s.halved, [&](auto halved) {
      const int64_t block = (1 + words_of<halved.value>(H)) * 4 * lanes;
      for (int64_t unit = from; unit < to; unit += lanes) {
        const T* weights = packed + unit / lanes * block;
        const LSTMRows<T, halved.value> rows{H, weights, read, after, cells, gates + start * 4 * H, kept, unit};
        in_tiles<tallest<4>()>(rows, share.first, last);
      }
    });
    keep_ends(after, ends, last_of(s, share, t + 1), last, H, from, to);
  });
}

// As rnn_backward, and for the cells; to_inputs [N, 4·H] may be `gates`.
template <typename T>
void lstm_backward(const Sequences& s, Share share, const T* packed, const T* cells, const T* gates,
                   const T* all_cells, const T* given, T* carried, T* carried_cells, T* to_inputs) {
  const int64_t H = s.hidden_size;
  const auto to_gates = [&](int64_t t, int64_t start, int64_t last, int64_t from, int64_t to) {
    const T* read = before(s, t, start, cells, all_cells, H);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(from, to, [&](int64_t unit, int64_t wide) {
        const int64_t at = start + row;
        const T* gate = gates + at * 4 * H + unit;
        const Lanes<T> i = load(gate, wide), f = load(gate + H, wide), g = load(gate + 2 * H, wide);
        const Lanes<T> o = load(gate + 3 * H, wide);
        const Lanes<T> squashed = hyperbolic_tangent(load(all_cells + at * H + unit, wide));
        T *hidden = carried + row * H + unit, *cell = carried_cells + row * H + unit;
        const Lanes<T> d = load(hidden, wide) + load(given + at * H + unit, wide);
        const Lanes<T> dc = load(cell, wide) + d * o * (1 - squashed * squashed);
        T* input = to_inputs + at * 4 * H + unit;
        store(input, dc * g * i * (1 - i), wide);
        store(input + H, dc * load(read + row * H + unit, wide) * f * (1 - f), wide);
        store(input + 2 * H, dc * i * (1 - g * g), wide);
        store(input + 3 * H, d * squashed * o * (1 - o), wide);
        store(cell, dc * f, wide);
        store(hidden, Lanes<T>{}, wide);
      });
    }
  };
  backwards_by_units(s, share, to_gates, [&](int64_t, int64_t start, int64_t last, int64_t from, int64_t to) {
    add_columns(s, to_inputs + start * 4 * H, packed, carried, share.first, last, 4 * H, H, 4 * H, from, to);
  });
}
