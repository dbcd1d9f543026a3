#include "meter_object.h"

#include <string>

#include "async_call.h"
#include "js_config.h"
#include "js_error.h"
#include "js_values.h"

namespace lmx::addon {

namespace {

const Choices kinds{{"linear", LMX_OP_LINEAR},
                    {"norm_linear", LMX_OP_NORM_LINEAR},
                    {"mlp_up", LMX_OP_MLP_UP},
                    {"rms_norm", LMX_OP_RMS_NORM},
                    {"gated_rms_norm", LMX_OP_GATED_RMS_NORM},
                    {"attention_prefill", LMX_OP_ATTENTION_PREFILL},
                    {"attention_decode", LMX_OP_ATTENTION_DECODE},
                    {"cache_append", LMX_OP_CACHE_APPEND},
                    {"ssd_prefill", LMX_OP_SSD_PREFILL},
                    {"ssd_update", LMX_OP_SSD_UPDATE},
                    {"conv_prefill", LMX_OP_CONV_PREFILL},
                    {"conv_step", LMX_OP_CONV_STEP},
                    {"embedding", LMX_OP_EMBEDDING},
                    {"argmax", LMX_OP_ARGMAX},
                    {"copy", LMX_OP_COPY},
                    {"launch", LMX_OP_LAUNCH}};

// Sizes are checked behind the C ABI; only what a kind uses is read.
lmx_operation operation_of(Napi::Value value) {
  const Fields fields(value, "operation");
  lmx_operation o{};
  o.kind = fields.choice("kind", kinds);
  const auto heads = [&] {
    o.batch = fields.integer("batch");
    o.heads = fields.integer("heads");
    o.head_dim = fields.integer("headDim");
  };
  const auto attention = [&] {
    heads();
    o.kv_heads = fields.integer("kvHeads");
  };
  const auto ssd = [&] {
    heads();
    o.groups = fields.integer("groups");
    o.state = fields.integer("state");
  };
  const auto matrix = [&](const char* in, const char* out) {
    o.rows = fields.integer("rows");
    o.in = fields.integer(in);
    o.out = fields.integer(out);
  };
  const auto conv = [&] {
    o.batch = fields.integer("batch");
    o.in = fields.integer("channels");
    o.width = fields.integer("width");
  };
  switch (o.kind) {
    case LMX_OP_LINEAR: matrix("in", "out"); break;
    case LMX_OP_NORM_LINEAR:
      matrix("in", "out");
      o.logits = fields.boolean("logits") ? 1 : 0;
      break;
    case LMX_OP_MLP_UP:
      matrix("hidden", "width");
      o.activation = fields.choice("activation", activation_choices());
      o.gated = fields.boolean("gated") ? 1 : 0;
      break;
    case LMX_OP_GATED_RMS_NORM: o.groups = fields.integer("groups"); [[fallthrough]];
    case LMX_OP_RMS_NORM:
      o.rows = fields.integer("rows");
      o.in = fields.integer("cols");
      break;
    case LMX_OP_CACHE_APPEND:
    case LMX_OP_ATTENTION_PREFILL:
      attention();
      o.time = fields.integer("time");
      break;
    case LMX_OP_ATTENTION_DECODE:
      attention();
      o.context = fields.integer("context");
      break;
    case LMX_OP_SSD_PREFILL:
      ssd();
      o.time = fields.integer("time");
      break;
    case LMX_OP_SSD_UPDATE:
      ssd();
      o.state_type = fields.choice("stateType", state_type_choices());
      break;
    case LMX_OP_CONV_PREFILL: o.time = fields.integer("time"); [[fallthrough]];
    case LMX_OP_CONV_STEP: conv(); break;
    case LMX_OP_EMBEDDING: matrix("cols", "vocab"); break;
    case LMX_OP_ARGMAX:
      o.rows = fields.integer("rows");
      o.out = fields.integer("vocab");
      break;
    case LMX_OP_COPY: o.bytes = fields.integer("bytes"); break;
    default: break;
  }
  return o;
}

Napi::Value measurement_object(Napi::Env env, const lmx_measurement& m) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("seconds", m.seconds);
  object.Set("low", m.low);
  object.Set("high", m.high);
  object.Set("samples", static_cast<double>(m.samples));
  object.Set("bytes", m.bytes);
  object.Set("flops", m.flops);
  return object;
}

}  // namespace

Napi::Function MeterObject::define(Napi::Env env) {
  return DefineClass(env, "Meter",
                     {InstanceMethod<&MeterObject::measure>("measure"), InstanceMethod<&MeterObject::dispose>("dispose")});
}

MeterObject::MeterObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MeterObject>(info) {
  const Fields fields(info[0], "config");
  lmx_meter* meter = nullptr;
  check(info.Env(), lmx_meter_create(fields.text("device").c_str(), thread_count(fields), &meter));
  meter_.reset(meter, lmx_meter_destroy);
}

void MeterObject::require_ready(Napi::Env env) const {
  if (busy_) throw js_error(env, busy_code, "the meter is busy: await the promise of the call before");
  if (!meter_) throw js_error(env, disposed_code, "the meter has been disposed of");
}

Napi::Value MeterObject::measure(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_ready(env);
  const lmx_operation operation = operation_of(info[0]);
  if (!info[1].IsNumber()) reject(env, "seconds", "a number", info[1]);
  const double seconds = info[1].As<Napi::Number>();
  auto measured = std::make_shared<lmx_measurement>();
  const Napi::Value promise = AsyncCall<MeterObject>::start(
      env, *this,
      [meter = meter_, operation, seconds, measured] {
        return lmx_meter_measure(meter.get(), &operation, seconds, measured.get());
      },
      [measured](Napi::Env result_env) { return measurement_object(result_env, *measured); });
  busy_ = true;
  return promise;
}

void MeterObject::dispose(const Napi::CallbackInfo& info) {
  if (meter_) require_ready(info.Env());
  meter_.reset();
}

}  // namespace lmx::addon
