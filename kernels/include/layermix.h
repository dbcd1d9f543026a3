// layermix native library: the C ABI.
//
// Opaque handles, lmx_<noun>_<verb> names, every call returns a status; lmx_last_error() says what went wrong on this
// thread. Nothing here throws across the boundary. Choices (lmx_layer_kind, ...) are passed as int32_t, so that any value
// can be refused. Sizes are in elements unless the name says bytes. Not thread-safe
// per handle: one thread at a time may use a trainer.
#ifndef LAYERMIX_H
#define LAYERMIX_H

#include <stddef.h>
#include <stdint.h>

#define LMX_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lmx_status {
  LMX_OK = 0,
  LMX_INVALID_ARGUMENT = 1,  // a value is outside what the library can run; the message names it
  LMX_OUT_OF_MEMORY = 2,     // the message says bytes asked and free
  LMX_NO_DEVICE = 3,
  LMX_NOT_FOUND = 4,  // no tensor of that name
  LMX_INTERNAL = 5,
  LMX_DEVICE_FAULT = 6  // the device is at fault, and further calls of this process to it fail too
} lmx_status;

typedef enum lmx_layer_kind { LMX_LAYER_MAMBA2 = 0, LMX_LAYER_ATTENTION = 1, LMX_LAYER_MLP = 2 } lmx_layer_kind;
typedef enum lmx_activation { LMX_GELU_TANH = 0, LMX_GELU_ERF = 1, LMX_RELU2 = 2, LMX_SILU = 3 } lmx_activation;
typedef enum lmx_precision { LMX_FP32 = 0, LMX_FP64 = 1, LMX_BF16 = 2 } lmx_precision;
typedef enum lmx_schedule { LMX_CONSTANT = 0, LMX_COSINE = 1, LMX_WSD = 2 } lmx_schedule;
typedef enum lmx_tensor_part {
  LMX_VALUE = 0,
  LMX_GRADIENT = 1,
  LMX_EXP_AVG = 2,
  LMX_EXP_AVG_SQ = 3
} lmx_tensor_part;

// One layer: pre-norm, mixer, residual add. Fields of other kinds are ignored.
typedef struct lmx_layer_config {
  int32_t kind;  // lmx_layer_kind
  // mamba2: inner width is heads * head_dim
  int64_t heads, head_dim, groups, state, conv, chunk;
  double dt_min;
  // attention: heads and head_dim above; rotary_dim 0 = no position embedding
  int64_t kv_heads, rotary_dim;
  double rope_theta;
  // mlp
  int64_t width;
  int32_t activation;  // lmx_activation
  int32_t gated;
} lmx_layer_config;

typedef struct lmx_model_config {
  int64_t hidden, vocab;
  int32_t tie_embeddings;
  double norm_eps;
  int64_t layer_count;
  const lmx_layer_config* layers;
} lmx_model_config;

typedef struct lmx_optimizer_config {
  double learning_rate, beta1, beta2, epsilon, weight_decay;
  double clip_norm;  // 0 = off
  int32_t schedule;  // lmx_schedule
  int64_t total_steps, warmup_steps;
  int64_t decay_steps;            // WSD: length of the final decay
  double minimum_learning_rate;  // where cosine and WSD end
} lmx_optimizer_config;

typedef struct lmx_trainer_config {
  lmx_model_config model;
  lmx_optimizer_config optimizer;
  int64_t batch, micro_batch, sequence;  // sequences per step, sequences per forward pass, tokens per sequence
  int32_t precision;   // lmx_precision
  const char* device;  // "cpu" or "cuda:N"; "reference": plain bf16 on the CPU, slow, to measure the error of bf16 by
  int32_t threads;     // CPU threads; 0 = all cores. Results do not depend on it.
  uint64_t seed;       // initial weights
  double init_std;     // standard deviation of weight matrices (Megatron's 0.02)
} lmx_trainer_config;

// Bytes of one trainer, exact: what is allocated is the sum. LAYERMIX_MEMORY_LIMIT (bytes) in the environment refuses more, as if a device
// had no more than that.
typedef struct lmx_memory {
  int64_t weights, gradients, optimizer, activations, workspace, total;
} lmx_memory;

typedef struct lmx_tensor_info {
  const char* name;  // Hugging Face names ("backbone.layers.0.mixer.in_proj.weight"); valid while the trainer lives
  int32_t rank;
  int64_t shape[4];
  int64_t count;
  int32_t decayed;  // takes weight decay
} lmx_tensor_info;

typedef struct lmx_step_result {
  double loss;       // mean over the targets of the batch, nats
  double grad_norm;  // before clipping
  double learning_rate;
  int64_t step;  // steps taken so far, this one included
  double device_seconds;  // that a GPU spent on it, by its own clock, the mean of steps that were queued together; 0 on the CPU
} lmx_step_result;

typedef struct lmx_trainer lmx_trainer;

const char* lmx_version(void);
const char* lmx_build_info(void);  // one line: compiler, vector width, BLAS
const char* lmx_last_error(void);  // of the last failed call on this thread

// GPUs that "cuda:N" can mean here: 0 in a build without CUDA and on a machine without a driver.
int32_t lmx_cuda_count(void);
// One line: what cuda:N is, or, where there is none, why.
const char* lmx_cuda_description(int32_t device);

// What a trainer would allocate. Needs no device.
lmx_status lmx_memory_plan(const lmx_trainer_config* config, lmx_memory* out);

lmx_status lmx_trainer_create(const lmx_trainer_config* config, lmx_trainer** out);
void lmx_trainer_destroy(lmx_trainer* trainer);
lmx_status lmx_trainer_memory(const lmx_trainer* trainer, lmx_memory* out);

// `steps` optimizer steps, each on a batch of its own. tokens and targets are (steps, batch, sequence) int32; a target < 0 is not
// counted. out (steps). Equal to as many calls of one step each; a GPU is given many steps before the first result is
// waited for. Where one batch is invalid no step is taken.
lmx_status lmx_trainer_train(lmx_trainer* trainer, int64_t steps, const int32_t* tokens, const int32_t* targets,
                             lmx_step_result* out);
// Forward only, any number of sequences. loss (count*sequence) float, 0 where the target < 0; correct 0/1.
lmx_status lmx_trainer_evaluate(lmx_trainer* trainer, int64_t count, const int32_t* tokens, const int32_t* targets,
                                float* loss, uint8_t* correct);
// Forward and backward of one batch without an optimizer step, for verification: gradients are left to be read with
// lmx_trainer_read. logits (batch*sequence*vocab) and hidden ((layers+2)*batch*sequence*hidden: the embedding output,
// then every layer's output, then the final norm's) may be null. batch must equal micro_batch.
lmx_status lmx_trainer_probe(lmx_trainer* trainer, const int32_t* tokens, const int32_t* targets, double* logits,
                             double* hidden, double* loss);

int64_t lmx_trainer_tensor_count(const lmx_trainer* trainer);
lmx_status lmx_trainer_tensor_info(const lmx_trainer* trainer, int64_t index, lmx_tensor_info* out);
// Reads or writes a whole part (lmx_tensor_part) of a tensor as double or float (bytes_per_element 8 or 4).
lmx_status lmx_trainer_read(const lmx_trainer* trainer, const char* name, int32_t part, void* out,
                            int32_t bytes_per_element);
lmx_status lmx_trainer_write(lmx_trainer* trainer, const char* name, int32_t part, const void* data,
                             int32_t bytes_per_element);
int64_t lmx_trainer_step_index(const lmx_trainer* trainer);
lmx_status lmx_trainer_set_step_index(lmx_trainer* trainer, int64_t step);

// ---- generating ------------------------------------------------------------------------------------------------------

// Element type of SSM states: the precision's statistics (fp32; fp64 in fp64), or bf16 where the device offers it.
typedef enum lmx_state_type { LMX_STATE_FULL = 0, LMX_STATE_BF16 = 1 } lmx_state_type;

typedef struct lmx_decoder_config {
  lmx_model_config model;
  int64_t batch;       // sequences, all at the same position
  int64_t context;     // tokens a sequence can reach: what the KV cache has room for
  int64_t prompt;      // the longest prompt given at once, tokens per sequence; at most context
  int32_t precision;   // lmx_precision
  int32_t state_type;  // lmx_state_type
  const char* device;  // "cpu" or "cuda:N"
  int32_t threads;     // CPU threads; 0 = all cores
  uint64_t seed;       // initial weights: those of a trainer with this seed
  double init_std;
} lmx_decoder_config;

// Bytes of one decoder, exact: what is allocated is the sum (kernels/model/DECODING.md).
typedef struct lmx_decoder_memory {
  int64_t weights, cache, state, scratch, workspace, total;
} lmx_decoder_memory;

typedef struct lmx_decoder lmx_decoder;

lmx_status lmx_decoder_memory_plan(const lmx_decoder_config* config, lmx_decoder_memory* out);
// Fails with LMX_OUT_OF_MEMORY before anything is allocated where the device has not enough free.
lmx_status lmx_decoder_create(const lmx_decoder_config* config, lmx_decoder** out);
void lmx_decoder_destroy(lmx_decoder* decoder);
lmx_status lmx_decoder_memory_of(const lmx_decoder* decoder, lmx_decoder_memory* out);
int64_t lmx_decoder_tensor_count(const lmx_decoder* decoder);
lmx_status lmx_decoder_tensor_info(const lmx_decoder* decoder, int64_t index, lmx_tensor_info* out);
lmx_status lmx_decoder_write(lmx_decoder* decoder, const char* name, const void* data, int32_t bytes_per_element);
int64_t lmx_decoder_position(const lmx_decoder* decoder);

// Feeds (batch, time) tokens from the current position on; logits (batch, vocab), of the last position, may be null.
lmx_status lmx_decoder_prefill(lmx_decoder* decoder, int64_t time, const int32_t* tokens, double* logits);
// Feeds one token per sequence.
lmx_status lmx_decoder_step(lmx_decoder* decoder, const int32_t* tokens, double* logits);
// Feeds `count` tokens per sequence, each the most likely one after those before it; tokens (count, batch) are what was fed.
lmx_status lmx_decoder_generate(lmx_decoder* decoder, int64_t count, int32_t* tokens);
// Back to an empty context.
lmx_status lmx_decoder_reset(lmx_decoder* decoder);
// Pretends that `position` tokens were seen: caches and states hold random normal values. For measuring.
lmx_status lmx_decoder_fill(lmx_decoder* decoder, int64_t position, uint64_t seed);
// Seconds of each of `count` greedy steps, and of each of `count` prefills of `time` random tokens into an empty context, timed
// on the device.
lmx_status lmx_decoder_time_steps(lmx_decoder* decoder, int64_t count, double* seconds);
lmx_status lmx_decoder_time_prefills(lmx_decoder* decoder, int64_t time, int64_t count, double* seconds);

// ---- measuring -------------------------------------------------------------------------------------------------------

typedef enum lmx_operation_kind {
  LMX_OP_LINEAR = 0,          // rows, in, out
  LMX_OP_NORM_LINEAR = 1,     // rows, in, out, logits
  LMX_OP_MLP_UP = 2,          // rows, in (hidden), out (width), activation, gated
  LMX_OP_RMS_NORM = 3,        // rows, in
  LMX_OP_GATED_RMS_NORM = 4,  // rows, in, groups
  LMX_OP_ATTENTION_PREFILL = 5,
  LMX_OP_ATTENTION_DECODE = 6,  // time tokens per sequence, the last of them number `context`
  LMX_OP_CACHE_APPEND = 7,
  LMX_OP_SSD_PREFILL = 8,
  LMX_OP_SSD_UPDATE = 9,
  LMX_OP_CONV_PREFILL = 10,  // in: channels, width: taps
  LMX_OP_CONV_STEP = 11,
  LMX_OP_EMBEDDING = 12,  // rows, in, out (vocab)
  LMX_OP_ARGMAX = 13,     // rows, out (vocab)
  LMX_OP_COPY = 14,       // bytes
  LMX_OP_LAUNCH = 15
} lmx_operation_kind;

// One operation of prefill or decoding at one shape, as a decoder runs it. Fields that a kind does not name are ignored.
typedef struct lmx_operation {
  int32_t kind;  // lmx_operation_kind
  int64_t rows, in, out;
  int64_t batch, time, context, heads, kv_heads, head_dim, groups, state, width;
  int64_t bytes;
  int32_t activation, gated, logits, state_type;
} lmx_operation;

typedef struct lmx_measurement {
  double seconds, low, high;  // median, 10th and 90th percentile of the time of one call
  int64_t samples;
  double bytes;  // that must move: every input read once, every output written once
  double flops;
} lmx_measurement;

// Times operations on one device: random operands, weights and caches rotated so that they come from memory, many calls back
// to back as in a step (one CUDA graph).
typedef struct lmx_meter lmx_meter;
lmx_status lmx_meter_create(const char* device, int32_t threads, lmx_meter** out);
void lmx_meter_destroy(lmx_meter* meter);
lmx_status lmx_meter_measure(lmx_meter* meter, const lmx_operation* operation, double seconds, lmx_measurement* out);

#ifdef __cplusplus
}
#endif
#endif
