#include "model/mlp_decoder.h"

namespace lmx {

std::unique_ptr<MixerDecoder> MlpMixer::decoder() const { return std::make_unique<MlpDecoder>(*this); }

}  // namespace lmx
