// The reference where the build found it: opentelemetry-cpp.
#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>

#include <array>
#include <cstring>

#include "reference.h"
#include "sdk_tracing.h"

namespace midtrace::bench {

namespace {

namespace context_api = opentelemetry::context;

ReferenceContestant span_contestant(std::unique_ptr<sdk::trace::Sampler> sampler, std::size_t operations,
                                    bool all_exported) {
  auto tracing = std::make_shared<SdkTracing>(std::move(sampler));
  auto made = std::make_shared<std::uint64_t>(0);
  return {{reference_name(),
           [tracing, made, operations] {
             api::Tracer& tracer = tracing->tracer();
             const Cost cost =
                 timed(operations, [&](std::size_t) { trace_one_span_with_sdk(tracer, span_values()); });
             *made += operations;
             tracing->flush();
             return cost;
           }},
          [tracing, made, all_exported]() -> std::string {
            tracing->flush();
            const std::uint64_t expected = all_exported ? *made : 0;
            return tracing->exported() == expected ? "" : "spans were lost";
          }};
}

class OneSdkField final : public context_api::propagation::TextMapCarrier {
 public:
  nostd::string_view Get(nostd::string_view name) const noexcept override {
    return name == nostd::string_view(name_.data(), name_size_)
               ? nostd::string_view(value_.data(), value_size_)
               : nostd::string_view();
  }
  void Set(nostd::string_view name, nostd::string_view value) noexcept override {
    name_size_ = std::min(name.size(), name_.size());
    std::memcpy(name_.data(), name.data(), name_size_);
    value_size_ = std::min(value.size(), value_.size());
    std::memcpy(value_.data(), value.data(), value_size_);
  }
  nostd::string_view value() const noexcept { return {value_.data(), value_size_}; }

 private:
  std::array<char, 16> name_{};
  std::array<char, 64> value_{};
  std::size_t name_size_ = 0;
  std::size_t value_size_ = 0;
};

const nostd::string_view header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

std::string nothing_wrong() { return {}; }

}  // namespace

std::string reference_name() { return MIDTRACE_BENCH_REFERENCE; }

std::optional<ReferenceContestant> reference_sampled_span(std::size_t operations) {
  return span_contestant(sdk::trace::AlwaysOnSamplerFactory::Create(), operations, true);
}

std::optional<ReferenceContestant> reference_unsampled_span(std::size_t operations) {
  return span_contestant(sdk::trace::AlwaysOffSamplerFactory::Create(), operations, false);
}

std::optional<ReferenceContestant> reference_inject(std::size_t operations) {
  struct State {
    OneSdkField carrier;
    context_api::Context context;
    api::propagation::HttpTraceContext propagator;
  };
  auto state = std::make_shared<State>();
  OneSdkField source;
  source.Set("traceparent", header);
  state->context = state->propagator.Extract(source, state->context);
  return ReferenceContestant{{reference_name(),
                              [state, operations] {
                                context_api::propagation::TextMapPropagator& propagator = state->propagator;
                                return timed(operations, [&](std::size_t) {
                                  propagator.Inject(state->carrier, state->context);
                                  keep(state->carrier);
                                });
                              }},
                             nothing_wrong};
}

std::optional<ReferenceContestant> reference_extract(std::size_t operations) {
  struct State {
    OneSdkField carrier;
    api::propagation::HttpTraceContext propagator;
  };
  auto state = std::make_shared<State>();
  state->carrier.Set("traceparent", header);
  return ReferenceContestant{{reference_name(),
                              [state, operations] {
                                context_api::propagation::TextMapPropagator& propagator = state->propagator;
                                return timed(operations, [&](std::size_t) {
                                  context_api::Context empty;
                                  const context_api::Context context =
                                      propagator.Extract(state->carrier, empty);
                                  keep(context);
                                });
                              }},
                             nothing_wrong};
}

std::optional<ReferenceSend> reference_send(std::size_t queue_size) {
  struct State {
    explicit State(std::size_t size) : tracing(sdk::trace::AlwaysOnSamplerFactory::Create(), size) {}
    SdkTracing tracing;
    api::propagation::HttpTraceContext propagator;
    nostd::shared_ptr<api::Span> span;
    std::uint64_t made = 0;
  };
  auto state = std::make_shared<State>(queue_size);
  ReferenceSend send;
  send.begin = [state](char* traceparent) {
    state->span = start_with_sdk(state->tracing.tracer(), span_values());
    context_api::Context current = context_api::RuntimeContext::GetCurrent();
    const context_api::Context context = api::SetSpan(current, state->span);
    OneSdkField carrier;
    state->propagator.Inject(carrier, context);
    std::memcpy(traceparent, carrier.value().data(), carrier.value().size());
  };
  send.end = [state] {
    state->span->End();
    ++state->made;
  };
  send.flush = [state] { state->tracing.flush(); };
  send.problem = [state]() -> std::string {
    state->tracing.flush();
    return state->tracing.exported() == state->made ? "" : "spans were lost";
  };
  return send;
}

}  // namespace midtrace::bench
