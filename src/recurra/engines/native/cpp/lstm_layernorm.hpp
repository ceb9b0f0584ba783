// The chain of a layer-normalised LSTM: i, f, g, o = σ, σ, tanh, σ(a + α ∘ N(U·h)), c' = f ∘ c + i ∘ g,
// h' = o ∘ tanh(α_c ∘ N(c') + b_c).

// As lstm_peephole_forward. Kept beside the gates: N(U·h) [N, 4·H], N(c') [N, H], and the rates of both [N, 2]; all
// are [rows, …] where nothing is kept.
template <typename T>
void lstm_layernorm_forward(const Sequences& s, Share share, const T* inputs, const T* packed, const T* gain,
                            const T* gain_cell, const T* bias_cell, const T* hidden, T* cells, T* outputs, T* ends,
                            T* gates, T* normalized, T* normal_cells, T* rates, T* all_cells) {
  const int64_t H = s.hidden_size, G = 4 * H;
  keep_ends(hidden, ends, share.first, share.last, H);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const int64_t stored = all_cells == nullptr ? 0 : start;
    T *after = outputs + start * H, *sums = normalized + stored * G;
    memset(sums + share.first * G, 0, (last - share.first) * G * sizeof(T));
    add_columns(s, before(s, t, start, hidden, outputs, H), packed, sums, share.first, last, H, G);
    for (int64_t row = share.first; row < last; ++row) {
      const T* input = inputs + (start + row) * G;
      T *sum = sums + row * G, *gate = gates + (stored + row) * G, *seen = normal_cells + (stored + row) * H;
      T *rate = rates + (stored + row) * 2, *cell_row = cells + row * H;
      rate[0] = normalize(sum, G);
      in_lanes<T>(0, G, [&](int64_t at, int64_t wide) {
        const Lanes<T> total = load(input + at, wide) + load(gain + at, wide) * load(sum + at, wide);
        store(gate + at, total, wide);
      });
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const Lanes<T> i = sigmoid(load(gate + unit, wide)), f = sigmoid(load(gate + H + unit, wide));
        const Lanes<T> g = hyperbolic_tangent(load(gate + 2 * H + unit, wide));
        const Lanes<T> cell = f * load(cell_row + unit, wide) + i * g;
        store(gate + unit, i, wide);
        store(gate + H + unit, f, wide);
        store(gate + 2 * H + unit, g, wide);
        store(gate + 3 * H + unit, sigmoid(load(gate + 3 * H + unit, wide)), wide);
        store(cell_row + unit, cell, wide);
        store(seen + unit, cell, wide);
        if (all_cells != nullptr) store(all_cells + (start + row) * H + unit, cell, wide);
      });
      rate[1] = normalize(seen, H);
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const Lanes<T> read = load(gain_cell + unit, wide) * load(seen + unit, wide) + load(bias_cell + unit, wide);
        store(after + row * H + unit, load(gate + 3 * H + unit, wide) * hyperbolic_tangent(read), wide);
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H);
  });
}

// As rnn_backward, and for the cells. to_products [N, 4·H] are the gradients of U·h; those of the gains and of b_c are
// added up for each row: to_gain [rows, 4·H], to_gain_cell and to_bias_cell [rows, H].
template <typename T>
void lstm_layernorm_backward(const Sequences& s, Share share, const T* packed, const T* gain, const T* gain_cell,
                             const T* bias_cell, const T* cells, const T* gates, const T* normalized,
                             const T* normal_cells, const T* rates, const T* all_cells, const T* given, T* carried,
                             T* carried_cells, T* to_inputs, T* to_products, T* to_gain, T* to_gain_cell,
                             T* to_bias_cell) {
  const int64_t H = s.hidden_size, G = 4 * H;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T* read = before(s, t, start, cells, all_cells, H);
    for (int64_t row = share.first; row < last; ++row) {
      const int64_t at = start + row;
      const T *gate = gates + at * G, *sum = normalized + at * G, *seen = normal_cells + at * H;
      T *input = to_inputs + at * G, *product = to_products + at * G;
      T *back = carried + row * H, *back_cell = carried_cells + row * H;
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const Lanes<T> gained = load(gain_cell + unit, wide), normal = load(seen + unit, wide);
        const Lanes<T> squashed = hyperbolic_tangent(gained * normal + load(bias_cell + unit, wide));
        const Lanes<T> o = load(gate + 3 * H + unit, wide);
        const Lanes<T> d = load(back + unit, wide) + load(given + at * H + unit, wide);
        const Lanes<T> of_seen = d * o * (1 - squashed * squashed);
        store(input + 3 * H + unit, d * squashed * o * (1 - o), wide);
        add<T>(to_gain_cell + row * H + unit, of_seen * normal, wide);
        add<T>(to_bias_cell + row * H + unit, of_seen, wide);
        store(back + unit, of_seen * gained, wide);
      });
      normalize_back(back, seen, rates[at * 2 + 1], H);
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const Lanes<T> i = load(gate + unit, wide), f = load(gate + H + unit, wide);
        const Lanes<T> g = load(gate + 2 * H + unit, wide);
        const Lanes<T> dc = load(back_cell + unit, wide) + load(back + unit, wide);
        store(input + unit, dc * g * i * (1 - i), wide);
        store(input + H + unit, dc * load(read + row * H + unit, wide) * f * (1 - f), wide);
        store(input + 2 * H + unit, dc * i * (1 - g * g), wide);
        store(back_cell + unit, dc * f, wide);
        store(back + unit, Lanes<T>{}, wide);
      });
      in_lanes<T>(0, G, [&](int64_t gate_unit, int64_t wide) {
        const Lanes<T> d = load(input + gate_unit, wide);
        add<T>(to_gain + row * G + gate_unit, d * load(sum + gate_unit, wide), wide);
        store(product + gate_unit, d * load(gain + gate_unit, wide), wide);
      });
      normalize_back(product, sum, rates[at * 2], G);
    }
    add_columns(s, to_products + start * G, packed, carried, share.first, last, G, H);
  });
}
