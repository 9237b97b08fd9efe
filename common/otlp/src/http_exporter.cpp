#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/otlp/exporter.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

#include "exit_order.h"
#include "export/linked_otlp.h"
#include "gzip.h"
#include "http_client.h"
#include "patience.h"
#include "protobuf_encoder.h"
#include "response.h"
#include "retry.h"
#include "settings.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

namespace {

// A buffer that one batch of huge spans has grown is given back above this.
constexpr std::size_t kept_buffer = 4U << 20U;

// What sending needs and keeps. It belongs to the process that made it.
struct Session {
  explicit Session(const Settings& settings) : client(HttpClient::make(settings)) {
    if (client == nullptr) throw std::bad_alloc();
  }

  std::unique_ptr<HttpClient> client;
  ProtobufEncoder protobuf;
  std::string json;
  Gzip gzip;
  ByteBuffer compressed;
  Pauses pauses;
  Session* next_forgotten = nullptr;
};

// Sessions that can neither be used nor destroyed: the parent's, in a forked child, and those of which the
// application closed the sockets.
void forget(Session* session) noexcept {
  static constinit std::atomic<Session*> forgotten{nullptr};
  session->next_forgotten = forgotten.load(std::memory_order_relaxed);
  while (!forgotten.compare_exchange_weak(session->next_forgotten, session, std::memory_order_relaxed)) {
  }
}

// How a batch was lost: what is counted, and the cause under which it is reported.
struct Loss {
  Counter counter;
  const char* cause;
};
Loss loss_of(Answer::Kind kind) noexcept {
  switch (kind) {
    case Answer::Kind::answered:
      return {Counter::export_lost_refused, "export.otlp.refused"};
    case Answer::Kind::timeout:
      return {Counter::export_lost_timeout, "export.otlp.timeout"};
    case Answer::Kind::tls:
      return {Counter::export_lost_tls, "export.otlp.tls"};
    case Answer::Kind::too_large:
      return {Counter::export_lost_size, "export.otlp.size"};
    case Answer::Kind::internal:
      return {Counter::export_lost_internal, "export.otlp.internal"};
    case Answer::Kind::connection:
      break;
  }
  return {Counter::export_lost_connection, "export.otlp.connection"};
}

const char* what_to_do(const Answer& answer) noexcept {
  switch (answer.kind) {
    case Answer::Kind::connection:
      return "start the receiver, or correct OTEL_EXPORTER_OTLP_ENDPOINT";
    case Answer::Kind::timeout:
      return "repair the receiver, or raise OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_BSP_EXPORT_TIMEOUT";
    case Answer::Kind::tls:
      return "check the scheme of OTEL_EXPORTER_OTLP_ENDPOINT and the files of "
             "OTEL_EXPORTER_OTLP_CERTIFICATE, "
             "_CLIENT_CERTIFICATE and _CLIENT_KEY";
    case Answer::Kind::too_large:
      return "check that OTEL_EXPORTER_OTLP_ENDPOINT is an OTLP receiver";
    case Answer::Kind::internal:
      return "free some memory";
    case Answer::Kind::answered:
      break;
  }
  if (answer.status == 401 || answer.status == 403) return "correct OTEL_EXPORTER_OTLP_HEADERS";
  if (answer.status == 404 || answer.status == 405) return "correct the path of OTEL_EXPORTER_OTLP_ENDPOINT";
  if (answer.status == 413) return "lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
  if (answer.status >= 300 && answer.status < 400)
    return "redirects are not followed: name the final endpoint";
  if (answer.may_repeat) return "give the receiver more room, or sample less";
  return "look at the receiver's own log";
}

class HttpExporter final : public Exporter {
 public:
  explicit HttpExporter(Settings settings) : settings_(std::move(settings)) {}
  HttpExporter(const HttpExporter&) = delete;
  HttpExporter& operator=(const HttpExporter&) = delete;
  ~HttpExporter() override { drop_session(); }

  std::string open() noexcept override;
  std::vector<Setting> settings() const override { return settings_.described; }
  ExportResult export_batch(const ExportBatch& batch) noexcept override;
  void give_up_at(std::chrono::steady_clock::time_point deadline) noexcept override {
    patience_.give_up_at(deadline);
  }
  void shutdown(std::chrono::steady_clock::time_point) noexcept override { drop_session(); }
  void after_fork() noexcept override;

 private:
  Session& session();
  void drop_session() noexcept;
  std::string_view encode(Session& session, const ExportBatch& batch);
  // True when all of it was accepted.
  bool send(const ExportBatch& batch);
  bool deliver(std::string_view body, const ExportBatch& batch);
  std::chrono::milliseconds pause_before_another(std::uint32_t attempts, const Answer& answer,
                                                 Pauses& pauses) const noexcept;
  void lost(const Answer& answer, std::uint32_t attempts, std::size_t spans) noexcept;
  void accepted(const Answer& answer) noexcept;

  const Settings settings_;
  Patience patience_;
  Session* session_ = nullptr;
  // Spans of the batch that is being sent whose fate is neither delivered nor counted yet.
  std::size_t undecided_ = 0;
};

// What TLS registers for the process's end must come to its turn after the last flush.
CURLcode start_libcurl() noexcept {
  const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  last_flush_comes_first();
  return result;
}

std::string HttpExporter::open() noexcept {
  try {
    static const CURLcode initialized = start_libcurl();
    patience_.forget();
    if (!settings_.problem.empty()) return settings_.problem;
    if (initialized != CURLE_OK)
      return std::string("OTLP over HTTP cannot be used: libcurl does not start: ") +
             curl_easy_strerror(initialized);
  } catch (const std::exception&) {
    // no memory for the sentence; the first batch will tell
  }
  return {};
}

// One that may be used: the last one, or another where the application closed that one's sockets.
Session& HttpExporter::session() {
  if (session_ != nullptr && !session_->client->intact()) forget(std::exchange(session_, nullptr));
  if (session_ == nullptr) session_ = new Session(settings_);
  return *session_;
}

void HttpExporter::drop_session() noexcept {
  Session* session = std::exchange(session_, nullptr);
  if (session == nullptr) return;
  if (session->client->intact()) {
    delete session;
  } else {
    forget(session);
  }
}

void HttpExporter::after_fork() noexcept {
  patience_.renew_in_child();
  patience_.forget();
  if (session_ == nullptr) return;
  // The parent's collector may have been in the middle of using it.
  session_->client->leave_to_parent();
  forget(std::exchange(session_, nullptr));
}

std::string_view HttpExporter::encode(Session& session, const ExportBatch& batch) {
  if (settings_.protocol == Protocol::http_protobuf) return session.protobuf.encode(batch);
  session.json.clear();
  append_otlp_json(session.json, batch);
  return session.json;
}

ExportResult HttpExporter::export_batch(const ExportBatch& batch) noexcept {
  undecided_ = batch.spans.size();
  try {
    const bool delivered = send(batch);
    session_->protobuf.trim();
    if (session_->json.capacity() > kept_buffer) std::string().swap(session_->json);
    if (session_->compressed.capacity() > kept_buffer) session_->compressed.release();
    return delivered ? ExportResult::success : ExportResult::failure;
  } catch (const std::exception&) {
    count(Counter::export_lost_internal, undecided_);
    report(Severity::error, "export.otlp.memory",
           "There is no memory to send a batch of spans by OTLP; they are lost. Free some memory");
    return ExportResult::failure;
  }
}

bool HttpExporter::send(const ExportBatch& batch) {
  Session& current = session();
  // Nothing is encoded that there is no time to send: a shutdown may find many batches in the queues.
  if (patience_.until(batch.deadline) <= std::chrono::steady_clock::now()) {
    Answer late;
    late.kind = Answer::Kind::timeout;
    late.error = "the time for this export is over";
    lost(late, 1, batch.spans.size());
    return false;
  }
  std::string_view body = encode(current, batch);
  if (body.size() > settings_.request_bytes) {
    const std::size_t half = batch.spans.size() / 2;
    if (half == 0) {
      --undecided_;
      count(Counter::export_lost_size);
      report(Severity::error, "export.otlp.size",
             "A span of " + std::to_string(body.size()) + " bytes exceeds the largest OTLP request of " +
                 std::to_string(settings_.request_bytes) +
                 " bytes; it is lost. Raise otlp::ExporterOptions::request_bytes or lower the span limits");
      return false;
    }
    const bool first = send({batch.resource, batch.spans.first(half), batch.deadline});
    const bool second = send({batch.resource, batch.spans.subspan(half), batch.deadline});
    return first && second;
  }
  if (settings_.compression == Compression::gzip) {
    if (!current.gzip.compress(body, current.compressed)) throw std::bad_alloc();
    body = current.compressed.view();
  }
  return deliver(body, batch);
}

// `body` may belong to a session that is forgotten meanwhile; it is not destroyed, so the bytes stay.
bool HttpExporter::deliver(std::string_view body, const ExportBatch& batch) {
  for (std::uint32_t attempt = 1;; ++attempt) {
    // The application may have closed the sockets, and opened others, during the pause.
    Session& current = session();
    const Answer answer = current.client->post(body, patience_, batch.deadline);
    if (answer.kind == Answer::Kind::answered && answer.status >= 200 && answer.status < 300) {
      undecided_ -= batch.spans.size();
      accepted(answer);
      return true;
    }
    const bool again = answer.may_repeat && attempt < settings_.retry.attempts &&
                       patience_.pause(pause_before_another(attempt, answer, current.pauses), batch.deadline);
    if (!again) {
      lost(answer, attempt, batch.spans.size());
      return false;
    }
    count(Counter::export_retries);
  }
}

std::chrono::milliseconds HttpExporter::pause_before_another(std::uint32_t attempts, const Answer& answer,
                                                             Pauses& pauses) const noexcept {
  if (answer.retry_after > std::chrono::seconds(0)) return answer.retry_after;
  return pauses.after(settings_.retry, attempts);
}

void HttpExporter::lost(const Answer& answer, std::uint32_t attempts, std::size_t spans) noexcept try {
  const Loss loss = loss_of(answer.kind);
  undecided_ -= spans;
  count(loss.counter, spans);
  std::string sentence = "A batch of " + std::to_string(spans) + " spans is lost: " + settings_.shown_url;
  if (answer.kind == Answer::Kind::answered) {
    sentence += " answered " + std::to_string(answer.status);
    const std::string message = read_error_message(settings_.protocol, answer.body);
    if (!message.empty()) sentence += " " + quoted(message);
  } else {
    sentence += ": ";
    sentence += answer.error;
  }
  if (attempts > 1) sentence += " (attempt " + std::to_string(attempts) + ")";
  sentence += ". To keep the next ones, ";
  sentence += what_to_do(answer);
  report(Severity::error, loss.cause, sentence);
} catch (const std::exception&) {
  // counted; there is no memory for the sentence
}

void HttpExporter::accepted(const Answer& answer) noexcept try {
  if (answer.body.empty()) return;
  const PartialSuccess partial = read_partial_success(settings_.protocol, answer.body);
  if (partial.rejected_spans > 0) count(Counter::spans_rejected, partial.rejected_spans);
  if (partial.rejected_spans == 0 && partial.message.empty()) return;
  std::string sentence = settings_.shown_url;
  sentence += partial.rejected_spans > 0
                  ? " rejected " + std::to_string(partial.rejected_spans) + " spans of a batch"
                  : std::string(" accepted a batch with a warning");
  if (!partial.message.empty()) sentence += ": " + quoted(partial.message);
  report(Severity::warning, "export.otlp.partial", sentence);
} catch (const std::exception&) {
  // no memory for the sentence
}

std::shared_ptr<Exporter> make_exporter(const ExporterOptions& options, const Environment& environment) {
  Settings settings = make_settings(options, environment);
  if (!settings.supported) return nullptr;
  return std::make_shared<HttpExporter>(std::move(settings));
}

}  // namespace

std::shared_ptr<Exporter> exporter(ExporterOptions options) {
  return make_exporter(options, process_environment());
}

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace

void midtrace_linked_otlp_v1(const midtrace::Environment& environment,
                             std::shared_ptr<midtrace::Exporter>& exporter) {
  exporter = midtrace::otlp::make_exporter({}, environment);
}
