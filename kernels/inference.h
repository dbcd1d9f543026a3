// The seam between a model that generates and the hardware: what decoding needs beside the operations of backend.h.
// Backend::inference() hands it out; conventions are those of backend.h. A step of decoding is enqueued whole: positions, tokens
// and caches live in backend memory, so that a step can be recorded once and replayed for every token.
//
// Caches are kept in act; the state of the SSD recurrence in `stat`, or in bf16 where a backend offers it (StateType).
// Operations take `time` new tokens per sequence: 1 in a step, many when a prompt is read. All sequences are at the same position.
#pragma once

#include "backend.h"

namespace lmx {

enum class StateType : std::uint8_t { full, bf16 };  // of SSM states: Precision::stat, or bf16

inline DType state_dtype(StateType type, const Precision& precision) {
  return type == StateType::bf16 ? DType::bf16 : precision.stat;
}

// RMSNorm in front of a product, and scratch for backends that do not fuse the two.
struct PreNorm {
  const void* weight;  // (in) stat
  double eps;
  void* normed;  // scratch (rows, in) act
  void* rstd;    // scratch (rows) stat
};

// One attention layer with its cache: keys and values are (batch, kv_heads, context, head_dim) each, act.
struct CacheShape {
  index_t batch, time, heads, kv_heads, head_dim;
  index_t context;     // tokens a sequence has room for
  double scale;        // usually 1/sqrt(head_dim)
  index_t rotary_dim;  // 0 = no position embedding
  double rope_theta;
  index_t packed_width() const { return (heads + 2 * kv_heads) * head_dim; }
  index_t elements() const { return batch * kv_heads * context * head_dim; }  // of keys; of values as many
};

// Where the tokens of a decoder lie.
struct TokenBuffers {
  std::int32_t* tokens;    // (rows): the token to be fed next
  std::int32_t* history;   // (ring, rows): the same, at row position mod ring
  std::int32_t* position;  // tokens every sequence has seen
  index_t ring;
};

class Inference {
 public:
  virtual ~Inference() = default;

  // ---- planning: pure functions of the shape -----------------------------------------------------------------------
  virtual std::size_t workspace_bytes(const LinearShape&) const = 0;
  virtual std::size_t workspace_bytes(const AttentionShape&) const = 0;  // attention_prompt
  virtual std::size_t workspace_bytes(const CacheShape&) const = 0;      // attention_decode
  virtual std::size_t workspace_bytes(const SsdShape&) const = 0;        // ssd_state_update
  virtual bool offers(StateType) const = 0;

  // ---- device ------------------------------------------------------------------------------------------------------
  virtual std::size_t free_bytes() const = 0;  // 0 where the system does not tell
  // values[i] = scale * random_normal(seed, stream, i) (common/philox.h), rounded to `type`.
  virtual void fill_normal(void* values, DType type, index_t count, double scale, std::uint64_t seed,
                           std::uint64_t stream) = 0;
  // A copy as fast as the device's memory allows, the ceiling of everything that moves bytes. Both start on 16 bytes.
  virtual void full_copy(void* to, const void* from, std::size_t bytes) = 0;
  // Puts a mark into the queue; seconds between two marks, once both are reached (waits).
  virtual void mark(std::size_t slot) = 0;
  virtual double seconds(std::size_t from, std::size_t to) = 0;

  // ---- products ----------------------------------------------------------------------------------------------------
  // y = x · wᵀ (+ residual when not null; may alias y).
  virtual void linear(const LinearShape&, const void* x, const void* w, const void* residual, void* y) = 0;
  // y = RMSNorm(x) · wᵀ; y is stat where `wide`, else act.
  virtual void norm_linear(const LinearShape&, const PreNorm&, const void* x, const void* w, void* y, bool wide) = 0;
  // a = act(RMSNorm(x) · w_upᵀ); u (rows, up_width) is scratch, null where keeps_input() is false.
  virtual void norm_linear_activation(const MlpShape&, const PreNorm&, const void* x, const void* w_up, void* u,
                                      void* a) = 0;

  // ---- Mamba-2 -----------------------------------------------------------------------------------------------------
  // y = silu(conv(x)) as Backend::causal_conv1d_forward, looking back into `window` (batch, width - 1, channels) act, the inputs
  // that came before, oldest first; then the window moves on by `time` inputs.
  virtual void causal_conv1d_step(const ConvShape&, ConstStrided x, const void* w, const void* bias, void* window,
                                  void* y) = 0;
  // y = the SSD scan of `time` tokens from `state` (batch, heads, head_dim, state) on, which becomes the state after them. `chunks`
  // (SsdShape::state_elements, stat) and `wide` (batch, heads, head_dim, state, stat; only used where type is bf16) are scratch and may
  // be null where time is 1.
  virtual void ssd_state_update(const SsdShape&, StateType type, const void* xbc, ConstStrided dt, const void* a_log,
                                const void* d, const void* dt_bias, void* state, void* y, void* chunks,
                                void* wide) = 0;

  // ---- attention ---------------------------------------------------------------------------------------------------
  // Turns q and k of packed qkv rows by their positions, in place (*position is that of the first row), and copies k and v of
  // every row to their place in the cache.
  virtual void kv_cache_append(const CacheShape&, void* qkv, void* keys, void* values,
                               const std::int32_t* position) = 0;
  // out (rows, heads * head_dim): every row against the cache up to its own token.
  virtual void attention_decode(const CacheShape&, const void* qkv, const void* keys, const void* values,
                                const std::int32_t* position, void* out) = 0;
  // The same where the context starts with these rows; lse (batch, heads, time) stat is scratch.
  virtual void attention_prompt(const AttentionShape&, const void* qkv, void* out, void* lse) = 0;

  // ---- next token --------------------------------------------------------------------------------------------------
  // tokens[r] = the first largest of logits (rows, vocab) stat; *position += seen; history at the new position.
  virtual void select_greedy(index_t rows, index_t vocab, const void* logits, index_t seen, const TokenBuffers&) = 0;
};

}  // namespace lmx
