/* Every header of the data plane compiles without a warning. */
#include "cm_kernels.h"
#include "gcm_kernels.h"
#include "ring.h"
#include "sha1_kernels.h"
#include "udp.h"

int main(void) {
    return CTR_KERNELS[0].features + GCM_KERNELS[0].features + SHA1_KERNELS[0].features == 0;
}
