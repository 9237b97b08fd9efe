// Trace ids in spdlog's lines: pattern flags, and a formatter that writes JSON.
//
//   logger->set_formatter(midtrace::spdlog_pattern("%Y-%m-%d %T %l trace_id=%* %v"));
//   logger->set_formatter(std::make_unique<midtrace::SpdlogJsonFormatter>());
//
// Pattern flags, beside spdlog's own: %* the trace id, %~ the span id, %? the trace flags; nothing where no
// span is current. No version of spdlog has flags of these names (%& is its MDC). The JSON formatter writes
// one object per line: time (UTC, RFC 3339, microseconds), level, logger, message, and, where a span is
// current, trace_id, span_id and trace_flags; source and thread where spdlog knows them.
//
// The ids are those of the thread that formats. A synchronous logger formats where it is called; an
// asynchronous one formats on its own thread, where the caller's span is not current: put the ids into the
// message there.
//
// Optional: it needs spdlog (1.5 or newer), which midtrace itself does not. A formatter belongs to one sink
// at a time, as spdlog demands. It throws what spdlog's own formatters throw. Source: OpenTelemetry, trace
// context in non-OTLP log formats.
#pragma once

#include <spdlog/pattern_formatter.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <midtrace/context/log_ids.h>
#include <midtrace/export/json_string.h>

namespace midtrace {
inline namespace v1 {

class SpdlogIdFlag final : public spdlog::custom_flag_formatter {
 public:
  using Field = std::string_view (LogIds::*)() const noexcept;
  explicit SpdlogIdFlag(Field field) noexcept : field_(field) {}

  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& line) override {
    const LogIds ids = current_log_ids();
    const std::string_view text = (ids.*field_)();
    line.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<SpdlogIdFlag>(field_);
  }

 private:
  Field field_;
};

// A pattern in which the three flags mean what is said above.
inline std::unique_ptr<spdlog::formatter> spdlog_pattern(std::string pattern) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<SpdlogIdFlag>('*', &LogIds::trace_id)
      .add_flag<SpdlogIdFlag>('~', &LogIds::span_id)
      .add_flag<SpdlogIdFlag>('?', &LogIds::trace_flags)
      .set_pattern(std::move(pattern));
  return formatter;
}

class SpdlogJsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    line_.clear();
    add_time(message.time);
    add("level", view(spdlog::level::to_string_view(message.level)));
    if (message.logger_name.size() != 0) add("logger", view(message.logger_name));
    add("message", view(message.payload));
    if (const LogIds ids = current_log_ids(); !ids.empty()) {
      add(log_trace_id, ids.trace_id());
      add(log_span_id, ids.span_id());
      add(log_trace_flags, ids.trace_flags());
    }
    if (!message.source.empty()) {
      add("source", message.source.filename);
      line_.append(",\"line\":").append(std::to_string(message.source.line));
    }
    line_.append(",\"thread\":").append(std::to_string(message.thread_id)).append("}\n");
    out.append(line_.data(), line_.data() + line_.size());
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<SpdlogJsonFormatter>(); }

 private:
  static std::string_view view(spdlog::string_view_t text) { return {text.data(), text.size()}; }

  void add(std::string_view key, std::string_view value) {
    line_.append(",\"").append(key).append("\":");
    append_json_string(line_, value);
  }
  void add_time(spdlog::log_clock::time_point time) {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
    const std::time_t seconds = spdlog::log_clock::to_time_t(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[64];
    const int size = std::snprintf(text, sizeof text, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
                                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                                   utc.tm_sec, static_cast<int>(micros % 1000000));
    line_.append(text, static_cast<std::size_t>(size));
  }

  std::string line_;
};

}  // namespace v1
}  // namespace midtrace
