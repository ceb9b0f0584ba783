// The chain of an LSTM whose gates see the cell: i, f = σ(a + U·h + p ∘ c), g = tanh(a + U·h), c' = f ∘ c + i ∘ g,
// o = σ(a + U·h + p ∘ c'), h' = o ∘ tanh(c').

// `cells` holds the cells before the first step at first, and those of the ends at last; `gates` [N, 4·H] W·x + b at
// first. Gates and all_cells [N, H] are kept for backward, or all_cells is null.
template <typename T>
void lstm_peephole_forward(const Sequences& s, Share share, const T* packed, const T* peeps, const T* hidden,
                           T* cells, T* outputs, T* ends, T* gates, T* all_cells) {
  const int64_t H = s.hidden_size, G = 4 * H;
  keep_ends(hidden, ends, share.first, share.last, H);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    T *after = outputs + start * H, *sums = gates + start * G;
    add_columns(s, before(s, t, start, hidden, outputs, H), packed, sums, share.first, last, H, G);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        T *gate = sums + row * G + unit, *place = cells + row * H + unit;
        const Lanes<T> c = load(place, wide);
        const Lanes<T> i = sigmoid(load(gate, wide) + load(peeps + unit, wide) * c);
        const Lanes<T> f = sigmoid(load(gate + H, wide) + load(peeps + H + unit, wide) * c);
        const Lanes<T> g = hyperbolic_tangent(load(gate + 2 * H, wide));
        const Lanes<T> cell = f * c + i * g;
        const Lanes<T> o = sigmoid(load(gate + 3 * H, wide) + load(peeps + 2 * H + unit, wide) * cell);
        store(place, cell, wide);
        store(after + row * H + unit, o * hyperbolic_tangent(cell), wide);
        if (all_cells != nullptr) {
          store(gate, i, wide);
          store(gate + H, f, wide);
          store(gate + 2 * H, g, wide);
          store(gate + 3 * H, o, wide);
          store(all_cells + (start + row) * H + unit, cell, wide);
        }
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H);
  });
}

// As rnn_backward, and for the cells; the gradient of p is added up for each row, `to_peeps` [rows, 3·H].
template <typename T>
void lstm_peephole_backward(const Sequences& s, Share share, const T* packed, const T* peeps, const T* cells,
                            const T* gates, const T* all_cells, const T* given, T* carried, T* carried_cells,
                            T* to_inputs, T* to_peeps) {
  const int64_t H = s.hidden_size, G = 4 * H;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T* read = before(s, t, start, cells, all_cells, H);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        const T* gate = gates + (start + row) * G + unit;
        const Lanes<T> i = load(gate, wide), f = load(gate + H, wide), g = load(gate + 2 * H, wide);
        const Lanes<T> o = load(gate + 3 * H, wide), c = load(read + at, wide);
        const Lanes<T> cell = load(all_cells + start * H + at, wide), squashed = hyperbolic_tangent(cell);
        const Lanes<T> d = load(carried + at, wide) + load(given + start * H + at, wide);
        const Lanes<T> to_o = d * squashed * o * (1 - o);
        const Lanes<T> dc = load(carried_cells + at, wide) + d * o * (1 - squashed * squashed) +
                            to_o * load(peeps + 2 * H + unit, wide);
        const Lanes<T> to_i = dc * g * i * (1 - i), to_f = dc * c * f * (1 - f);
        T *input = to_inputs + (start + row) * G + unit, *peep = to_peeps + row * 3 * H + unit;
        store(input, to_i, wide);
        store(input + H, to_f, wide);
        store(input + 2 * H, dc * i * (1 - g * g), wide);
        store(input + 3 * H, to_o, wide);
        add<T>(peep, to_i * c, wide);
        add<T>(peep + H, to_f * c, wide);
        add<T>(peep + 2 * H, to_o * cell, wide);
        store(carried_cells + at, dc * f + to_i * load(peeps + unit, wide) + to_f * load(peeps + H + unit, wide), wide);
        store(carried + at, Lanes<T>{}, wide);
      });
    }
    add_columns(s, to_inputs + start * G, packed, carried, share.first, last, G, H);
  });
}
