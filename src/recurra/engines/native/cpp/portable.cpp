// Any processor: four floats at once, which is SSE2 on x86-64 and NEON on arm64.
#define RECURRA_UNIT portable_unit
#define RECURRA_BYTES 16
#define RECURRA_REGISTERS 16
#include "unit.hpp"
