/* A libcuda.so.1 with the three functions that tell whether CUDA starts. $CUDA_SIM: "RESULT [DEVICES [DELAY_MS]]". */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct answer {
    int result, devices, delay_ms;
};

static struct answer told(void) {
    struct answer answer = {0, 1, 0};
    const char *text = getenv("CUDA_SIM");
    if (text != NULL)
        sscanf(text, "%d %d %d", &answer.result, &answer.devices, &answer.delay_ms);
    return answer;
}

int cuInit(unsigned int flags) {
    struct answer answer = told();
    struct timespec wait = {answer.delay_ms / 1000, answer.delay_ms % 1000 * 1000000L};
    while (nanosleep(&wait, &wait) != 0)
        ;
    return flags != 0 ? 1 : answer.result;
}

int cuDriverGetVersion(int *version) {
    *version = 12040;
    return 0;
}

int cuDeviceGetCount(int *count) {
    *count = told().devices;
    return told().result;
}
