// A recurrence that is linear in its state: h' = a ∘ h + b; a and b side by side, [N, 2·H].

template <typename T>
void scan_forward(const Sequences& s, Share share, const T* inputs, const T* hidden, T* outputs, T* ends) {
  const int64_t H = s.hidden_size;
  keep_ends(hidden, ends, share.first, share.last, H);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T* read = before(s, t, start, hidden, outputs, H);
    T* after = outputs + start * H;
    for (int64_t row = share.first; row < last; ++row) {
      const T *a = inputs + (start + row) * 2 * H, *b = a + H;
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        store(after + at, load(a + unit, wide) * load(read + at, wide) + load(b + unit, wide), wide);
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H);
  });
}

// As rnn_backward.
template <typename T>
void scan_backward(const Sequences& s, Share share, const T* inputs, const T* hidden, const T* outputs, const T* given,
                   T* carried, T* to_inputs) {
  const int64_t H = s.hidden_size;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T *read = before(s, t, start, hidden, outputs, H), *of_outputs = given + start * H;
    for (int64_t row = share.first; row < last; ++row) {
      const T* a = inputs + (start + row) * 2 * H;
      T *to_a = to_inputs + (start + row) * 2 * H, *to_b = to_a + H;
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        const Lanes<T> d = load(carried + at, wide) + load(of_outputs + at, wide);
        store(to_a + unit, d * load(read + at, wide), wide);
        store(to_b + unit, d, wide);
        store(carried + at, d * load(a + unit, wide), wide);
      });
    }
  });
}
