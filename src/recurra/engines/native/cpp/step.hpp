// Single steps of a whole stack, from weights packed beforehand; the states move on in place.

constexpr int gates_of(int kind) { return kind < 3 ? 1 : kind; }
constexpr int biases_of(int kind) { return kind < 3 ? 1 : 4; }

// Of one block the biases [gates · H], or null → [biases][lanes]. The two are one, save the candidate's of a GRU: r, z,
// b_n, c_n. Units that the last block has too many are zero.
template <typename T>
void pack_biases(int64_t kind, const T* bias_ih, const T* bias_hh, int64_t H, int64_t first, T* packed) {
  constexpr int64_t lanes = Width<T>::lanes;
  for (int64_t bias = 0; bias < biases_of(kind); ++bias) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const int64_t unit = first + lane, at = (kind == 3 && bias == 3 ? 2 : bias) * H + unit;
      const T one = bias_ih == nullptr || unit >= H || (kind == 3 && bias == 3) ? T(0) : bias_ih[at];
      const T two = bias_hh == nullptr || unit >= H || (kind == 3 && bias == 2) ? T(0) : bias_hh[at];
      *packed++ = one + two;
    }
  }
}

// weights [gates · H, I] and [gates · H, H], and the biases → [blocks of H][biases, I · gates, H · gates][lanes].
template <typename T>
void pack_layer(int64_t kind, const T* weight_ih, const T* weight_hh, const T* bias_ih, const T* bias_hh, int64_t I,
                int64_t H, T* packed) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t gates = gates_of(kind);
  const auto of = [&](const T* values, int64_t gate, int64_t unit, int64_t columns, int64_t k) {
    return unit >= H ? T(0) : values[(gate * H + unit) * columns + k];
  };
  for (int64_t block = 0; block < blocks_of(H, lanes); ++block) {
    pack_biases(kind, bias_ih, bias_hh, H, block * lanes, packed);
    packed += biases_of(kind) * lanes;
    for (int64_t k = 0; k < I + H; ++k) {
      for (int64_t gate = 0; gate < gates; ++gate) {
        for (int64_t lane = 0; lane < lanes; ++lane) {
          const int64_t unit = block * lanes + lane;
          *packed++ = k < I ? of(weight_ih, gate, unit, I, k) : of(weight_hh, gate, unit, H, k - I);
        }
      }
    }
  }
}

// Rows of a layer at one step.
template <typename T>
struct Rows {
  const Layer& layer;
  const T* x;
  int64_t x_stride;
  T* state;
  int64_t state_stride;
  T* fresh;  // the new hidden states [rows, H]
  T* cells;  // where the new cells go: into the state, or aside where a chain of cells moves on first
  int64_t cells_stride;
};

// The gates of one row's block of units, from the sums of their products; `candidate`: of a GRU W·x + b.
template <typename T, int kind>
inline void finish_unit(const Rows<T>& s, int64_t row, int64_t unit, int64_t wide, const Lanes<T> (&u)[gates_of(kind)],
                        Lanes<T> candidate) {
  Lanes<T> h;
  if constexpr (kind == 1) {
    h = hyperbolic_tangent(u[0]);
  } else if constexpr (kind == 2) {
    h = u[0] < 0 ? Lanes<T>{} : u[0];
  } else if constexpr (kind == 3) {
    const Lanes<T> n = hyperbolic_tangent(candidate + sigmoid(u[0]) * u[2]);
    h = n + sigmoid(u[1]) * (load(s.state + row * s.state_stride + s.layer.hidden + unit, wide) - n);
  } else {
    const Lanes<T> before = load(s.state + row * s.state_stride + s.layer.cell + unit, wide);
    const Lanes<T> cell = sigmoid(u[1]) * before + sigmoid(u[0]) * hyperbolic_tangent(u[2]);
    store(s.cells + row * s.cells_stride + unit, cell, wide);
    h = sigmoid(u[3]) * hyperbolic_tangent(cell);
  }
  store(s.fresh + row * s.layer.hidden_size + unit, h, wide);
}

template <typename T, int kind>
struct UnitRows {
  const Rows<T>& s;
  const T* packed;  // this block's
  int64_t unit, wide;

  template <int R>
  void rows(int64_t first) const {
    constexpr int64_t lanes = Width<T>::lanes;
    constexpr int gates = gates_of(kind), biases = biases_of(kind);
    const int64_t I = s.layer.input_size, H = s.layer.hidden_size;
    const T* hidden = s.state + first * s.state_stride + s.layer.hidden;
    const T* weights = packed + biases * lanes;
    Lanes<T> sums[R][gates], candidates[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; ++gate) sums[r][gate] = load(packed + gate * lanes);
    }
    add_product<R, gates, T>(s.x + first * s.x_stride, s.x_stride, weights, I, sums);
    if constexpr (kind == 3) {  // W·x + b and U·h + c of the candidate stay apart: the reset gate comes between
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        candidates[r] = sums[r][2];
        sums[r][2] = load(packed + 3 * lanes);
      }
    }
    add_product<R, gates, T>(hidden, s.state_stride, weights + I * gates * lanes, H, sums);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) finish_unit<T, kind>(s, first + r, unit, wide, sums[r], candidates[r]);
  }
};

template <typename T, int kind>
void step_units(const Rows<T>& s, int64_t rows) {
  constexpr int64_t lanes = Width<T>::lanes;
  constexpr int gates = gates_of(kind);
  const int64_t I = s.layer.input_size, H = s.layer.hidden_size;
  const T* packed = static_cast<const T*>(s.layer.packed);
  for (int64_t unit = 0; unit < H; unit += lanes) {
    in_tiles<(tallest<gates>() < 8 ? tallest<gates>() : 8)>(
        UnitRows<T, kind>{s, packed, unit, H - unit < lanes ? H - unit : lanes}, 0, rows);
    packed += (biases_of(kind) + (I + H) * gates) * lanes;
  }
}

#include "narrow.hpp"

// Rows of a layer, whatever its weights are.
template <typename T, int kind>
void step_layer(const Plan& p, const Rows<T>& s, int64_t rows) {
  if constexpr (sizeof(T) == 4) {
    if (s.layer.narrow) {
      float* scales = static_cast<float*>(p.space) + narrow_at(p);
      return step_narrow<kind>(s, rows, p.vnni, reinterpret_cast<uint8_t*>(scales + 2 * p.block), scales);
    }
  }
  step_units<T, kind>(s, rows);
}

// A chain of states forgets the oldest and takes a new one [rows, H] to its end.
template <typename T>
void move_on(T* chain, int64_t stride, int64_t dilation, int64_t H, const T* fresh, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row, chain += stride, fresh += H) {
    memmove(chain, chain + H, (dilation - 1) * H * sizeof(T));
    memcpy(chain + (dilation - 1) * H, fresh, H * sizeof(T));
  }
}

// A linear layer, packed by pack_gates with one gate: to [rows, O] = W·from + b.
template <typename T>
struct LinearRows {
  const T *from, *packed;
  int64_t K;
  T* to;
  int64_t to_stride, unit, wide;

  template <int R>
  void rows(int64_t first) const {
    Lanes<T> sums[R][1];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sums[r][0] = load(packed);
    add_product<R, 1, T>(from + first * K, K, packed + Width<T>::lanes, K, sums);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store(to + (first + r) * to_stride + unit, sums[r][0], wide);
  }
};

template <typename T>
void linear(const T* from, const void* weights, int64_t rows, int64_t K, int64_t O, T* to, int64_t to_stride) {
  constexpr int64_t lanes = Width<T>::lanes;
  const T* packed = static_cast<const T*>(weights);
  for (int64_t unit = 0; unit < O; unit += lanes, packed += (1 + K) * lanes) {
    const int64_t wide = O - unit < lanes ? O - unit : lanes;
    in_tiles<8>(LinearRows<T>{from, packed, K, to, to_stride, unit, wide}, 0, rows);
  }
}

template <typename T>
T exponential_of(T x) {
  return exponential(Lanes<T>{} + x)[0];
}

// One row's pooling goes on by `values` [D]; the answer so far goes to `to` [D]. `aside` has room for D numbers.
template <typename T>
void summarise(const Summary& s, T* state, const T* values, int64_t D, T* aside, T* to) {
  T* kept = state + s.values;
  if (s.kind == 4) {
    T &highest = state[s.count], &normalizer = state[s.normalizer];
    linear(values, s.packed, 1, D, D, aside, D);
    const T* query = static_cast<const T*>(s.query);
    T score = 0;
    for (int64_t i = 0; i < D; ++i) score += hyperbolic_tangent(Lanes<T>{} + aside[i])[0] * query[i];
    const T now = score > highest ? score : highest;
    const T old = exponential_of(highest - now), weight = exponential_of(score - now);
    normalizer = normalizer * old + weight;
    for (int64_t i = 0; i < D; ++i) {
      kept[i] = kept[i] * old + weight * values[i];
      to[i] = kept[i] / normalizer;
    }
    highest = now;
    return;
  }
  int64_t count;
  memcpy(&count, state + s.count, sizeof count);
  ++count;
  memcpy(state + s.count, &count, sizeof count);
  for (int64_t i = 0; i < D; ++i) {
    if (s.kind == 1) {
      to[i] = kept[i] = values[i];
    } else if (s.kind == 2) {
      kept[i] += values[i];
      to[i] = kept[i] / T(count);
    } else {
      kept[i] = values[i] > kept[i] || values[i] != values[i] ? values[i] : kept[i];
      to[i] = kept[i];
    }
  }
}

// At most plan.block rows, whose states and inputs stand `state_stride` and `x_stride` apart.
template <typename T>
void step_block(const Plan& p, int64_t rows, T* state, const T* x, int64_t x_stride, T* y, int64_t y_stride) {
  T* space = static_cast<T*>(p.space);
  T *fresh = space, *other = space + p.block * p.widest, *cells = other + p.block * p.widest;
  T* values = cells + p.block * p.widest;
  const T* input = x;
  const int64_t input_stride = x_stride;
  for (int64_t number = 0; number < p.layers; ++number) {
    const Layer& layer = p.layer[number];
    const int64_t H = layer.hidden_size, S = p.state_size;
    const bool in_place = layer.dilation == 1;
    const Rows<T> s{layer, x, x_stride, state, S, fresh, in_place ? state + layer.cell : cells, in_place ? S : H};
    if (layer.kind == 1) step_layer<T, 1>(p, s, rows);
    if (layer.kind == 2) step_layer<T, 2>(p, s, rows);
    if (layer.kind == 3) step_layer<T, 3>(p, s, rows);
    if (layer.kind == 4) step_layer<T, 4>(p, s, rows);
    // Only now: every block of units reads the hidden state before the step.
    move_on(state + layer.hidden, S, layer.dilation, H, fresh, rows);
    if (layer.kind == 4 && !in_place) move_on(state + layer.cell, S, layer.dilation, H, cells, rows);
    if (layer.residual) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < H; ++i) fresh[row * H + i] += x[row * x_stride + i];
      }
    }
    x = fresh;
    x_stride = H;
    fresh = other;
    other = const_cast<T*>(x);
  }
  if (p.head == nullptr) {
    for (int64_t row = 0; row < rows; ++row) memcpy(y + row * y_stride, x + row * x_stride, x_stride * sizeof(T));
    return;
  }
  const int64_t D = p.summary_size, of_layers = D - p.summary_inputs;
  T* summaries = values + p.block * D;
  for (int64_t row = 0; row < rows; ++row) {
    T* own = values + row * D;
    memcpy(own, x + row * x_stride, of_layers * sizeof(T));
    memcpy(own + of_layers, input + row * input_stride, p.summary_inputs * sizeof(T));
    for (int64_t part = 0; part < p.summaries; ++part) {
      summarise(p.summary[part], state + row * p.state_size, own, D, fresh, summaries + (row * p.summaries + part) * D);
    }
  }
  linear(summaries, p.head, rows, p.summaries * D, p.output_size, y, y_stride);
}

// One step of rows ids[0], ids[1], … of the state [·, state_size], or of the first ones: x [rows, I] → y [rows, O].
template <typename T>
void step_rows(const Plan* plan, int64_t rows, const int64_t* ids, T* state, const T* x, T* y) {
  const Plan& p = *plan;
  const int64_t S = p.state_size;
  T* gathered = static_cast<T*>(p.space) + p.block * (3 * p.widest + (1 + p.summaries) * p.summary_size);
  for (int64_t first = 0; first < rows; first += p.block) {
    const int64_t count = rows - first < p.block ? rows - first : p.block;
    const T* inputs = x + first * p.input_size;
    T* outputs = y + first * p.output_size;
    if (ids == nullptr) {
      step_block(p, count, state + first * S, inputs, p.input_size, outputs, p.output_size);
      continue;
    }
    for (int64_t row = 0; row < count; ++row) memcpy(gathered + row * S, state + ids[first + row] * S, S * sizeof(T));
    step_block(p, count, gathered, inputs, p.input_size, outputs, p.output_size);
    for (int64_t row = 0; row < count; ++row) memcpy(state + ids[first + row] * S, gathered + row * S, S * sizeof(T));
  }
}

// Several steps of the first rows: x [rows, steps, I] → y [rows, steps, O].
template <typename T>
void step_along(const Plan* plan, int64_t rows, int64_t steps, T* state, const T* x, T* y) {
  const Plan& p = *plan;
  for (int64_t first = 0; first < rows; first += p.block) {
    const int64_t count = rows - first < p.block ? rows - first : p.block;
    for (int64_t t = 0; t < steps; ++t) {
      step_block(p, count, state + first * p.state_size, x + (first * steps + t) * p.input_size, steps * p.input_size,
                 y + (first * steps + t) * p.output_size, steps * p.output_size);
    }
  }
}

// One step of one row from numbers as they come, standardised as in training; 0, and nothing else, where one is not
// finite then.
template <typename T>
int step_scaled(const Plan* plan, T* state, const double* raw, T* y) {
  const Plan& p = *plan;
  T* x = static_cast<T*>(p.space) + narrow_at(p) - p.input_size;
  for (int64_t i = 0; i < p.input_size; ++i) {
    x[i] = static_cast<T>((raw[i] - p.mean[i]) / p.std[i]);
    if (!(x[i] - x[i] == 0)) return 0;
  }
  step_block(p, 1, state, x, p.input_size, y, p.output_size);
  return 1;
}
