// x86-64 with AVX2 and FMA.
#if defined(__x86_64__)
#define RECURRA_UNIT avx2_unit
#define RECURRA_BYTES 32
#define RECURRA_REGISTERS 16
#include "unit.hpp"
#endif
