// The chain of a layer-normalised GRU: u = α ∘ N(U·h) + b with one N for r and z together and one for n; r, z = σ(a + u),
// n = tanh(a_n + r ∘ u_n), h' = n + z ∘ (h − n).

// gates r, z, n and N(U·h) [N, 3·H] and its two rates [N, 2] are kept for backward; keeps null: nothing is, and they
// are [rows, …].
template <typename T>
void gru_layernorm_forward(const Sequences& s, Share share, const T* inputs, const T* packed, const T* gain,
                           const T* bias, const T* hidden, T* outputs, T* ends, T* gates, T* normalized, T* rates,
                           const T* keeps) {
  const int64_t H = s.hidden_size, G = 3 * H;
  keep_ends(hidden, ends, share.first, share.last, H);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const int64_t stored = keeps == nullptr ? 0 : start;
    const T* read = before(s, t, start, hidden, outputs, H);
    T *after = outputs + start * H, *sums = normalized + stored * G;
    memset(sums + share.first * G, 0, (last - share.first) * G * sizeof(T));
    add_columns(s, read, packed, sums, share.first, last, H, G);
    for (int64_t row = share.first; row < last; ++row) {
      const T* input = inputs + (start + row) * G;
      T *sum = sums + row * G, *gate = gates + (stored + row) * G, *rate = rates + (stored + row) * 2;
      rate[0] = normalize(sum, 2 * H);
      rate[1] = normalize(sum + 2 * H, H);
      in_lanes<T>(0, 2 * H, [&](int64_t at, int64_t wide) {
        const Lanes<T> u = load(gain + at, wide) * load(sum + at, wide) + load(bias + at, wide);
        store(gate + at, sigmoid(load(input + at, wide) + u), wide);
      });
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = 2 * H + unit;
        const Lanes<T> u = load(gain + at, wide) * load(sum + at, wide) + load(bias + at, wide);
        const Lanes<T> n = hyperbolic_tangent(load(input + at, wide) + load(gate + unit, wide) * u);
        const Lanes<T> z = load(gate + H + unit, wide), h = load(read + row * H + unit, wide);
        store(gate + at, n, wide);
        store(after + row * H + unit, n + z * (h - n), wide);
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H);
  });
}

// As rnn_backward. to_products [N, 3·H] are the gradients of U·h; those of gain and bias are added up for each row,
// to_gain and to_bias [rows, 3·H].
template <typename T>
void gru_layernorm_backward(const Sequences& s, Share share, const T* packed, const T* gain, const T* bias,
                            const T* hidden, const T* outputs, const T* gates, const T* normalized, const T* rates,
                            const T* given, T* carried, T* to_inputs, T* to_products, T* to_gain, T* to_bias) {
  const int64_t H = s.hidden_size, G = 3 * H;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T* read = before(s, t, start, hidden, outputs, H);
    for (int64_t row = share.first; row < last; ++row) {
      const int64_t at = start + row;
      const T *gate = gates + at * G, *sum = normalized + at * G;
      T *input = to_inputs + at * G, *product = to_products + at * G, *back = carried + row * H;
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t last_gate = 2 * H + unit;
        const Lanes<T> r = load(gate + unit, wide), z = load(gate + H + unit, wide), n = load(gate + last_gate, wide);
        const Lanes<T> u = load(gain + last_gate, wide) * load(sum + last_gate, wide) + load(bias + last_gate, wide);
        const Lanes<T> d = load(back + unit, wide) + load(given + at * H + unit, wide);
        const Lanes<T> to_n = d * (1 - z) * (1 - n * n), h = load(read + row * H + unit, wide);
        const Lanes<T> to_r = to_n * u * r * (1 - r), to_z = d * (h - n) * z * (1 - z);
        store(input + unit, to_r, wide);
        store(input + H + unit, to_z, wide);
        store(input + last_gate, to_n, wide);
        store(product + unit, to_r, wide);
        store(product + H + unit, to_z, wide);
        store(product + last_gate, to_n * r, wide);
        store(back + unit, d * z, wide);
      });
      in_lanes<T>(0, G, [&](int64_t unit, int64_t wide) {
        const Lanes<T> d = load(product + unit, wide);
        add<T>(to_bias + row * G + unit, d, wide);
        add<T>(to_gain + row * G + unit, d * load(sum + unit, wide), wide);
        store(product + unit, d * load(gain + unit, wide), wide);
      });
      normalize_back(product, sum, rates[at * 2], 2 * H);
      normalize_back(product + 2 * H, sum + 2 * H, rates[at * 2 + 1], H);
    }
    add_columns(s, to_products + start * G, packed, carried, share.first, last, G, H);
  });
}
