// Gzip: compresses request bodies, with one compressor whose memory is kept. One thread.
#pragma once

#include <zlib.h>

#include <string_view>

#include "byte_buffer.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

class Gzip {
 public:
  Gzip() noexcept = default;
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  ~Gzip() {
    if (ready_) deflateEnd(&stream_);
  }

  // Replaces what is in `out`. False when zlib has no memory; may throw std::bad_alloc.
  bool compress(std::string_view bytes, ByteBuffer& out) {
    constexpr int gzip_format = 15 + 16;  // the largest window, with gzip's header
    constexpr int default_memory = 8;
    // Spans repeat themselves so much that more effort gains little.
    if (!ready_) {
      ready_ = deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, gzip_format, default_memory,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    } else if (deflateReset(&stream_) != Z_OK) {
      return false;
    }
    if (!ready_) return false;
    out.resize(deflateBound(&stream_, bytes.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return false;
    out.resize(out.size() - stream_.avail_out);
    return true;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
