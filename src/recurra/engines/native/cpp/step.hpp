// One step of one layer, from weights packed beforehand; the state is in the box and moves on in place.

template <typename T, int gates>
struct StepRows {
  const Step& s;
  const T *x, *packed_ih, *packed_hh;  // this block's weights
  T* y;
  int64_t unit, wide;

  template <int R>
  void rows(int64_t first) const {
    constexpr int64_t lanes = Width<T>::lanes;
    const int64_t H = s.hidden_size, I = s.input_size;
    T *hidden = static_cast<T*>(s.hidden), *cells = static_cast<T*>(s.cell);
    Lanes<T> sums[R][gates], products[R][gates];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; ++gate) {
        sums[r][gate] = load(packed_ih + gate * lanes);
        products[r][gate] = load(packed_hh + gate * lanes);
      }
    }
    add_product<R, gates, T>(x + first * I, I, packed_ih + gates * lanes, I, sums);
    add_product<R, gates, T>(hidden + first * H, H, packed_hh + gates * lanes, H, products);
#pragma GCC unroll 16
    for (int row = 0; row < R; ++row) {
      const int64_t place = (first + row) * H + unit;
      const Lanes<T>(&a)[gates] = sums[row], (&u)[gates] = products[row];
      if constexpr (gates == 3) {
        const Lanes<T> r = sigmoid(a[0] + u[0]), z = sigmoid(a[1] + u[1]);
        const Lanes<T> n = hyperbolic_tangent(a[2] + r * u[2]);
        store(y + place, n + z * (load(hidden + place, wide) - n), wide);
      } else {
        const Lanes<T> i = sigmoid(a[0] + u[0]), f = sigmoid(a[1] + u[1]);
        const Lanes<T> g = hyperbolic_tangent(a[2] + u[2]), o = sigmoid(a[3] + u[3]);
        const Lanes<T> cell = f * load(cells + place, wide) + i * g;
        store(cells + place, cell, wide);
        store(y + place, o * hyperbolic_tangent(cell), wide);
      }
    }
  }
};

template <typename T, int gates>
void step_gates(const Step& s, const T* x, T* y) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t H = s.hidden_size, I = s.input_size;
  const T *packed_ih = static_cast<const T*>(s.packed_ih), *packed_hh = static_cast<const T*>(s.packed_hh);
  for (int64_t unit = 0; unit < H; unit += lanes) {
    const int64_t wide = H - unit < lanes ? H - unit : lanes;
    const StepRows<T, gates> body{s, x, packed_ih, packed_hh, y, unit, wide};
    in_tiles<tallest<gates>() / 2>(body, 0, s.rows);
    packed_ih += (1 + I) * gates * lanes;
    packed_hh += (1 + H) * gates * lanes;
  }
  memcpy(s.hidden, y, s.rows * H * sizeof(T));  // only now: every block reads the hidden state before the step
}

template <typename T>
void step(const Step* s, const T* x, T* y) {
  if (s->gates == 3) {
    step_gates<T, 3>(*s, x, y);
  } else {
    step_gates<T, 4>(*s, x, y);
  }
}
