// Layer normalisation of one row, as torch.nn.functional.layer_norm: mean 0 and variance 1, the variance over all
// `count` numbers, and this beneath the root.
template <typename T>
constexpr T NORMALIZATION_EPS = T(1e-5);

template <typename T>
inline T sum_of(Lanes<T> x) {
  T parts[Width<T>::lanes];
  memcpy(parts, &x, sizeof(x));
#pragma GCC unroll 8
  for (int half = Width<T>::lanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) parts[lane] += parts[lane + half];
  }
  return parts[0];
}

// In place; what the deviations were multiplied with is returned.
template <typename T>
inline T normalize(T* row, int64_t count) {
  constexpr int64_t lanes = Width<T>::lanes;
  const int64_t whole = count / lanes * lanes;
  Lanes<T> sums = {}, squares = {};
  for (int64_t at = 0; at < whole; at += lanes) sums += load(row + at);
  T sum = sum_of<T>(sums), square = 0;
  for (int64_t at = whole; at < count; ++at) sum += row[at];
  const T mean = sum / count;
  for (int64_t at = 0; at < whole; at += lanes) {
    const Lanes<T> deviation = load(row + at) - mean;
    store(row + at, deviation, lanes);
    squares += deviation * deviation;
  }
  for (int64_t at = whole; at < count; ++at) {
    row[at] -= mean;
    square += row[at] * row[at];
  }
  const T rate = T(1 / __builtin_sqrt((sum_of<T>(squares) + square) / count + NORMALIZATION_EPS<T>));
  in_lanes<T>(0, count, [&](int64_t at, int64_t wide) { store(row + at, load(row + at, wide) * rate, wide); });
  return rate;
}

// The way back: from the gradient of a normalised row to that of the row, in place.
template <typename T>
inline void normalize_back(T* gradient, const T* normalized, T rate, int64_t count) {
  Lanes<T> sums = {}, products = {};
  in_lanes<T>(0, count, [&](int64_t at, int64_t wide) {
    const Lanes<T> d = load(gradient + at, wide);
    sums += d;
    products += d * load(normalized + at, wide);
  });
  const T mean = sum_of<T>(sums) / count, share = sum_of<T>(products) / count;
  in_lanes<T>(0, count, [&](int64_t at, int64_t wide) {
    store(gradient + at, (load(gradient + at, wide) - mean - load(normalized + at, wide) * share) * rate, wide);
  });
}
