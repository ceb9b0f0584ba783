// The chain of an LSTM with a smaller hidden state: gates as an LSTM's, m = o ∘ tanh(c'), h' = W_hr·m. H is the size of
// the cell and P, s.read_size, that of the hidden state.

// As lstm_peephole_forward; m [N, H] is kept as well, and [rows, H] where nothing is.
template <typename T>
void lstm_projection_forward(const Sequences& s, Share share, const T* packed, const T* packed_down,
                             const T* hidden, T* cells, T* outputs, T* ends, T* gates, T* wide_outputs, T* all_cells) {
  const int64_t H = s.hidden_size, P = s.read_size, G = 4 * H;
  keep_ends(hidden, ends, share.first, share.last, P);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    T *after = outputs + start * P, *sums = gates + start * G;
    T* m = wide_outputs + (all_cells == nullptr ? 0 : start) * H;
    add_columns(s, before(s, t, start, hidden, outputs, P), packed, sums, share.first, last, P, G);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        T *gate = sums + row * G + unit, *place = cells + row * H + unit;
        const Lanes<T> i = sigmoid(load(gate, wide)), f = sigmoid(load(gate + H, wide));
        const Lanes<T> g = hyperbolic_tangent(load(gate + 2 * H, wide)), o = sigmoid(load(gate + 3 * H, wide));
        const Lanes<T> cell = f * load(place, wide) + i * g;
        store(place, cell, wide);
        store(m + row * H + unit, o * hyperbolic_tangent(cell), wide);
        if (all_cells != nullptr) {
          store(gate, i, wide);
          store(gate + H, f, wide);
          store(gate + 2 * H, g, wide);
          store(gate + 3 * H, o, wide);
          store(all_cells + (start + row) * H + unit, cell, wide);
        }
      });
    }
    memset(after + share.first * P, 0, (last - share.first) * P * sizeof(T));
    add_columns(s, m, packed_down, after, share.first, last, H, P);
    keep_ends(after, ends, last_of(s, share, t + 1), last, P);
  });
}

// As rnn_backward, and for the cells; to_outputs [N, P] are the gradients of h' in all, and to_wide [rows, H] room for
// those of m in a step.
template <typename T>
void lstm_projection_backward(const Sequences& s, Share share, const T* packed, const T* packed_down, const T* cells,
                              const T* gates, const T* all_cells, const T* given, T* carried, T* carried_cells,
                              T* to_inputs, T* to_outputs, T* to_wide) {
  const int64_t H = s.hidden_size, P = s.read_size, G = 4 * H;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T* read = before(s, t, start, cells, all_cells, H);
    T* of_outputs = to_outputs + start * P;
    in_lanes<T>(share.first * P, last * P, [&](int64_t at, int64_t wide) {
      store(of_outputs + at, load(carried + at, wide) + load(given + start * P + at, wide), wide);
      store(carried + at, Lanes<T>{}, wide);
    });
    memset(to_wide + share.first * H, 0, (last - share.first) * H * sizeof(T));
    add_columns(s, of_outputs, packed_down, to_wide, share.first, last, P, H);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        const T* gate = gates + (start + row) * G + unit;
        const Lanes<T> i = load(gate, wide), f = load(gate + H, wide), g = load(gate + 2 * H, wide);
        const Lanes<T> o = load(gate + 3 * H, wide), d = load(to_wide + at, wide);
        const Lanes<T> squashed = hyperbolic_tangent(load(all_cells + start * H + at, wide));
        const Lanes<T> dc = load(carried_cells + at, wide) + d * o * (1 - squashed * squashed);
        T* input = to_inputs + (start + row) * G + unit;
        store(input, dc * g * i * (1 - i), wide);
        store(input + H, dc * load(read + at, wide) * f * (1 - f), wide);
        store(input + 2 * H, dc * i * (1 - g * g), wide);
        store(input + 3 * H, d * squashed * o * (1 - o), wide);
        store(carried_cells + at, dc * f, wide);
      });
    }
    add_columns(s, to_inputs + start * G, packed, carried, share.first, last, G, P);
  });
}
