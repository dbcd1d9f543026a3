// The gate between the C ABI and everything behind it: a configuration that passes is one the library can
// run. Each failure is an InvalidArgument naming the field, the rule and the value.
#pragma once

#include "layermix.h"
#include "model/config.h"

namespace lmx {

// Checks every field and returns the model part. Sizes are limited so that no product of them overflows.
ModelConfig checked_model(const lmx_trainer_config& config);

// Element types of a precision.
Precision precision_of(int32_t precision);

// Tokens in [0, vocab); targets below vocab (negative: not counted). `count` of each.
void check_tokens(const int32_t* tokens, const int32_t* targets, int64_t count, int64_t vocab);

}  // namespace lmx
