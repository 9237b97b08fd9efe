// Exporters that misbehave on purpose, and one that only counts. Each may be used from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include <midtrace/export/exporter.h>

namespace midtrace_test {

// Counts spans and notes the sizes of batches.
class CountingExporter final : public midtrace::Exporter {
 public:
  midtrace::ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    if (busy.exchange(true)) overlapped.store(true);
    {
      const std::lock_guard guard(mutex_);
      sizes_.push_back(batch.spans.size());
    }
    spans.fetch_add(batch.spans.size());
    busy.store(false);
    return failing ? midtrace::ExportResult::failure : midtrace::ExportResult::success;
  }
  bool flush(std::chrono::steady_clock::time_point) noexcept override {
    flushes.fetch_add(1);
    return true;
  }
  void shutdown(std::chrono::steady_clock::time_point) noexcept override { shutdowns.fetch_add(1); }

  std::vector<std::size_t> sizes() const {
    const std::lock_guard guard(mutex_);
    return sizes_;
  }

  std::atomic<std::uint64_t> spans{0};
  std::atomic<int> flushes{0};
  std::atomic<int> shutdowns{0};
  std::atomic<bool> failing{false};
  std::atomic<bool> busy{false};
  std::atomic<bool> overlapped{false};

 private:
  mutable std::mutex mutex_;
  std::vector<std::size_t> sizes_;
};

// Does not return from export_batch while it is closed.
class GatedExporter final : public midtrace::Exporter {
 public:
  ~GatedExporter() override { open_gate(); }

  midtrace::ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
    spans.fetch_add(batch.spans.size());
    changed_.notify_all();
    return midtrace::ExportResult::success;
  }

  void open_gate() {
    const std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void close_gate() {
    const std::lock_guard guard(mutex_);
    open_ = false;
  }
  // Until the collector stands before the closed gate.
  bool wait_until_entered() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [this] { return waiting_ > 0; });
  }

  std::atomic<std::uint64_t> spans{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
};

}  // namespace midtrace_test
