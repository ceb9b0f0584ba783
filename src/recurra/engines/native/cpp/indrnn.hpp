// The chain of independent units: h' = max(0, a + u ∘ h).

// `outputs` holds W·x + b at first.
template <typename T>
void indrnn_forward(const Sequences& s, Share share, const T* weight, const T* hidden, T* outputs, T* ends) {
  const int64_t H = s.hidden_size;
  keep_ends(hidden, ends, share.first, share.last, H);
  forwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T *read = before(s, t, start, hidden, outputs, H);
    T* after = outputs + start * H;
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        const Lanes<T> sum = load(after + at, wide) + load(weight + unit, wide) * load(read + at, wide);
        store(after + at, rectified<T>(sum), wide);
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H);
  });
}

// As rnn_backward. The gradient of the weight is added up for each row of the batch, `to_weight` [rows, H], so that it
// is the same however the rows are shared out.
template <typename T>
void indrnn_backward(const Sequences& s, Share share, const T* weight, const T* hidden, const T* outputs,
                     const T* given, T* carried, T* to_inputs, T* to_weight) {
  const int64_t H = s.hidden_size;
  backwards(s, share, [&](int64_t t, int64_t start, int64_t last) {
    const T *read = before(s, t, start, hidden, outputs, H), *of_outputs = given + start * H;
    const T* after = outputs + start * H;
    T* input = to_inputs + start * H;
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(0, H, [&](int64_t unit, int64_t wide) {
        const int64_t at = row * H + unit;
        const Lanes<T> all = load(carried + at, wide) + load(of_outputs + at, wide);
        const Lanes<T> d = load(after + at, wide) <= 0 ? Lanes<T>{} : all;
        store(input + at, d, wide);
        store(carried + at, d * load(weight + unit, wide), wide);
        add<T>(to_weight + at, d * load(read + at, wide), wide);
      });
    }
  });
}
