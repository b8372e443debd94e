// When each kernel of a program began and ended, as CUPTI sees it: a library that the driver loads into any program.
//
//     cc -shared -fPIC -O2 -I CUDA/include -I CUPTI/include timeline.c -L CUPTI/lib -l:libcupti.so.13 -o timeline.so
//     CUDA_INJECTION64_PATH=$PWD/timeline.so TIMELINE=kernels.tsv crumb bench --shape llama2-7b
//     python3 timeline.py kernels.tsv
//
// A line a kernel: start and end in ns, blocks, threads, bytes of dynamic shared memory, name. Kernels of recorded steps
// are there one by one. What CUPTI itself adds is in the times; read them as shares.
#include <cupti.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *output;

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *records) {
    *size = 8 << 20;
    *buffer = aligned_alloc(8, *size);
    *records = 0;
}

static void CUPTIAPI complete(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
    (void)context, (void)stream, (void)size;
    CUpti_Activity *record = NULL;
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) continue;
        const CUpti_ActivityKernel10 *kernel = (const CUpti_ActivityKernel10 *)record;
        fprintf(
            output, "%llu\t%llu\t%d\t%d\t%d\t%.120s\n", (unsigned long long)kernel->start, (unsigned long long)kernel->end,
            kernel->gridX * kernel->gridY * kernel->gridZ, kernel->blockX, kernel->dynamicSharedMemory, kernel->name);
    }
    free(buffer);
}

static void finish(void) {
    cuptiActivityFlushAll(1);
    fclose(output);
}

int InitializeInjection(void) {
    const char *path = getenv("TIMELINE");
    output = fopen(path ? path : "timeline.tsv", "w");
    if (!output) return 0;
    cuptiActivityRegisterCallbacks(request, complete);
    const CUptiResult result = cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
    if (result != CUPTI_SUCCESS) fprintf(stderr, "timeline: CUPTI says %d; no kernel is recorded\n", result);
    atexit(finish);
    return 1;
}
