// A register of numbers, and the functions of the gates on it. Included once by each unit, in its own namespace: the
// width RECURRA_BYTES differs between the units.

template <typename T>
struct Width {
  static constexpr int lanes = RECURRA_BYTES / sizeof(T);
  typedef T Lanes __attribute__((vector_size(RECURRA_BYTES)));
  typedef T Unaligned __attribute__((vector_size(RECURRA_BYTES), aligned(alignof(T)), may_alias));
};
template <typename T>
using Lanes = typename Width<T>::Lanes;

template <typename T>
inline Lanes<T> load(const T* from) {
  return *reinterpret_cast<const typename Width<T>::Unaligned*>(from);
}

// The first `count` numbers and zeros; nothing behind them is read.
template <typename T>
inline Lanes<T> load(const T* from, int64_t count) {
  if (count >= Width<T>::lanes) return load(from);
  T some[Width<T>::lanes] = {};
  memcpy(some, from, count * sizeof(T));
  return load(some);
}

// The bits of a register of floats.
inline auto words(const float* from) {
  typedef uint32_t Words __attribute__((vector_size(RECURRA_BYTES)));
  return reinterpret_cast<Words>(load(from));
}

template <typename T>
inline void store(T* to, Lanes<T> values, int64_t count) {
  if (count >= Width<T>::lanes) {
    *reinterpret_cast<typename Width<T>::Unaligned*>(to) = values;
  } else {
    T some[Width<T>::lanes];  // a copy: values whose address is taken would be kept in memory from their first sum on
    *reinterpret_cast<typename Width<T>::Unaligned*>(some) = values;
    memcpy(to, some, count * sizeof(T));
  }
}

// exp after Cephes (Moshier): x = n·ln 2 + r, |r| ≤ ln 2 / 2. x is held where 2^n is a normal number. Adding `magic`
// rounds to a whole number, which then stands in the low bits.
inline Lanes<float> exponential(Lanes<float> x) {
  typedef int32_t Whole __attribute__((vector_size(RECURRA_BYTES)));
  x = x > 87.0f ? Lanes<float>{} + 87.0f : x;
  x = x < -86.0f ? Lanes<float>{} - 86.0f : x;
  const float magic = 12582912.0f;
  const Lanes<float> shifted = x * 1.44269504088896341f + magic;
  const Lanes<float> n = shifted - magic;
  const Lanes<float> r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Lanes<float> p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return reinterpret_cast<Lanes<float>>(reinterpret_cast<Whole>(p) + (reinterpret_cast<Whole>(shifted) << 23));
}

inline Lanes<double> exponential(Lanes<double> x) {
  typedef int64_t Whole __attribute__((vector_size(RECURRA_BYTES)));
  x = x > 708.0 ? Lanes<double>{} + 708.0 : x;
  x = x < -707.0 ? Lanes<double>{} - 707.0 : x;
  const double magic = 6755399441055744.0;
  const Lanes<double> shifted = x * 1.4426950408889634073599 + magic;
  const Lanes<double> n = shifted - magic;
  const Lanes<double> r = x - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6;
  const Lanes<double> s = r * r;
  Lanes<double> p = 1.26177193074810590878e-4 * s + 3.02994407707441961300e-2;
  p = (p * s + 9.99999999999999999910e-1) * r;
  Lanes<double> q = 3.00198505138664455042e-6 * s + 2.52448340349684104192e-3;
  q = q * s + 2.27265548208155028766e-1;
  q = q * s + 2.0;
  const Lanes<double> e = 1.0 + 2.0 * p / (q - p);
  return reinterpret_cast<Lanes<double>>(reinterpret_cast<Whole>(e) + (reinterpret_cast<Whole>(shifted) << 52));
}

// 1 / x. AVX-512 divides a register in ten cycles; its estimate of 14 bits and one step of Newton's method are as good.
#if RECURRA_BYTES == 64
inline Lanes<float> reciprocal(Lanes<float> x) {
  const Lanes<float> r = _mm512_maskz_rcp14_ps(0xFFFF, x);
  return r * (2 - x * r);
}
#else
inline Lanes<float> reciprocal(Lanes<float> x) { return 1 / x; }
#endif
inline Lanes<double> reciprocal(Lanes<double> x) { return 1 / x; }

template <typename V>
inline V sigmoid(V x) {
  return reciprocal(1 + exponential(-x));
}

// In float a quotient of polynomials, as in Eigen: right to 4e-7 of its value, and ±1 from 7.9 on.
inline Lanes<float> hyperbolic_tangent(Lanes<float> x) {
  x = x > 7.90531110763549805f ? Lanes<float>{} + 7.90531110763549805f : x;
  x = x < -7.90531110763549805f ? Lanes<float>{} - 7.90531110763549805f : x;
  const Lanes<float> z = x * x;
  Lanes<float> p = -2.76076847742355e-16f * z + 2.00018790482477e-13f;
  p = p * z - 8.60467152213735e-11f;
  p = p * z + 5.12229709037114e-08f;
  p = p * z + 1.48572235717979e-05f;
  p = p * z + 6.37261928875436e-04f;
  p = p * z + 4.89352455891786e-03f;
  Lanes<float> q = 1.19825839466702e-06f * z + 1.18534705686654e-04f;
  q = q * z + 2.26843463243900e-03f;
  q = q * z + 4.89352518554385e-03f;
  return x * p * reciprocal(q);
}

// Near zero 1 − 2 / (1 + exp 2x) would lose its digits; there the series of Cephes.
inline Lanes<double> near_zero(Lanes<double> x) {
  const Lanes<double> z = x * x;
  Lanes<double> p = -9.64399179425052238628e-1 * z - 9.92877231001918586564e1;
  p = p * z - 1.61468768441708447952e3;
  Lanes<double> q = z + 1.12811678491632931402e2;
  q = q * z + 2.23548839060100448583e3;
  q = q * z + 4.84406305325125486048e3;
  return x + x * z * (p / q);
}

inline Lanes<double> hyperbolic_tangent(Lanes<double> x) {
  const Lanes<double> far = 1 - 2 / (1 + exponential(2 * x));
  return (x < 0.625) & (x > -0.625) ? near_zero(x) : far;
}
