/* What every NVML function of the simulator does around its answer: state, delays, told errors, handles. */
#ifndef PREFLIGHT_CALL_H
#define PREFLIGHT_CALL_H

#include "nvml_abi.h"
#include "scenario.h"

#define NOT_MIG UINT32_MAX

/* One call under way. It holds the scenario, which a nvmlInit in another thread may meanwhile replace. */
struct call {
    const struct scenario *scenario;
    uint32_t gpu;
    uint32_t mig; /* index of the MIG device below gpu, or NOT_MIG */
};

enum call_on { ON_GPU, ON_GPU_OR_MIG };

/*
 * Begin a call of the named function (its C symbol): wait its delay, then answer what the scenario tells, in this
 * order: Uninitialized, InvalidArgument for a bad handle, GpuIsLost, the told return code, NotSupported for a MIG
 * handle where only a GPU's will do. Whatever it answers, pass the call's result through call_end.
 */
nvml_status call_begin_driver(struct call *call, const char *function);
nvml_status call_begin_gpu(struct call *call, const char *function, uint32_t gpu);
nvml_status call_begin(struct call *call, const char *function, nvml_device device, enum call_on on);
nvml_status call_end(struct call *call, nvml_status status);

/* The parts, for calls that must look before they know their GPU, and for nvmlInit, which brings its own scenario. */
nvml_status call_open(struct call *call);
nvml_status call_rehearse(const struct scenario *scenario, const char *function);
nvml_status call_rehearse_gpu(const struct call *call, const char *function);

nvml_device device_handle(uint32_t gpu, uint32_t mig);
/* Whether the scenario has a MIG device of this index on this GPU, MIG being on. */
bool mig_exists(const struct scenario *scenario, uint32_t gpu, uint32_t mig);

/* The compute instance of the call's MIG device: 0 unless told. */
uint32_t mig_compute_instance(const struct call *call);
/* Waits that long, signals or not. */
void call_wait(uint32_t milliseconds);
/* Whether the GPU has the key. */
bool call_has(const struct call *call, const char *key);

/* Values of the call's GPU. Each answers NotSupported where the key is absent. The key is a printf format. */
nvml_status value_u32(const struct call *call, uint32_t *out, const char *key, ...) __attribute__((format(printf, 3, 4)));
nvml_status value_u64(const struct call *call, uint64_t *out, const char *key, ...) __attribute__((format(printf, 3, 4)));
nvml_status value_i32(const struct call *call, int32_t *out, const char *key, ...) __attribute__((format(printf, 3, 4)));
/* The same with a default. */
uint32_t value_u32_or(const struct call *call, uint32_t otherwise, const char *key);
uint64_t value_u64_or(const struct call *call, uint64_t otherwise, const char *key);

/* Copies with the end mark, or answers InsufficientSize and copies nothing. NULL text is NotSupported. */
nvml_status copy_text(const char *text, char *out, uint32_t size);

/* Whole functions whose answer is one key of the GPU. */
nvml_status answer_u32(const char *function, nvml_device device, const char *key, uint32_t *out);
nvml_status answer_u64(const char *function, nvml_device device, const char *key, uint64_t *out);
nvml_status answer_text(const char *function, nvml_device device, const char *key, char *out, uint32_t size);

#endif
