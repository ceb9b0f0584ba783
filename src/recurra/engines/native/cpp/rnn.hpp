// The chain of a plain recurrent network: h' = tanh(a + U·h) or max(0, a + U·h).

// `outputs` holds W·x + b at first.
template <typename T, bool relu>
void rnn_forward(const Sequences& s, Share share, const T* packed, const T* hidden, T* outputs, T* ends) {
  const int64_t H = s.hidden_size;
  if (share.member == 0) keep_ends(hidden, ends, share.first, share.last, H);
  forwards_by_units(s, share, [&](int64_t t, int64_t start, int64_t last, int64_t from, int64_t to) {
    T* after = outputs + start * H;
    add_columns(s, before(s, t, start, hidden, outputs, H), packed, after, share.first, last, H, H, H, from, to);
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(row * H + from, row * H + to, [&](int64_t at, int64_t wide) {
        const Lanes<T> sum = load(after + at, wide);
        store(after + at, relu ? rectified<T>(sum) : hyperbolic_tangent(sum), wide);
      });
    }
    keep_ends(after, ends, last_of(s, share, t + 1), last, H, from, to);
  });
}

// From the gradients of outputs [N, H] and ends [rows, H] to that of a [N, H]; `carried` holds the gradients of the
// ends at first and of the initial states at last.
template <typename T, bool relu>
void rnn_backward(const Sequences& s, Share share, const T* packed, const T* outputs, const T* given, T* carried,
                  T* to_inputs) {
  const int64_t H = s.hidden_size;
  const auto gates = [&](int64_t, int64_t start, int64_t last, int64_t from, int64_t to) {
    const T *of_outputs = given + start * H, *after = outputs + start * H;
    T* input = to_inputs + start * H;
    for (int64_t row = share.first; row < last; ++row) {
      in_lanes<T>(row * H + from, row * H + to, [&](int64_t at, int64_t wide) {
        const Lanes<T> d = load(carried + at, wide) + load(of_outputs + at, wide), y = load(after + at, wide);
        store(input + at, relu ? (y <= 0 ? Lanes<T>{} : d) : d * (1 - y * y), wide);
        store(carried + at, Lanes<T>{}, wide);
      });
    }
  };
  backwards_by_units(s, share, gates, [&](int64_t, int64_t start, int64_t last, int64_t from, int64_t to) {
    add_columns(s, to_inputs + start * H, packed, carried, share.first, last, H, H, H, from, to);
  });
}

template <typename T>
constexpr auto rnn_tanh_forward = rnn_forward<T, false>;
template <typename T>
constexpr auto rnn_relu_forward = rnn_forward<T, true>;
template <typename T>
constexpr auto rnn_tanh_backward = rnn_backward<T, false>;
template <typename T>
constexpr auto rnn_relu_backward = rnn_backward<T, true>;
