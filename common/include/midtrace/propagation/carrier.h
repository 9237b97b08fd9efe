// The carrier seam: how a propagator reads and writes one wire (Kafka headers, an AMQP table, a string map,
// ...).
//
// Names are lower-case ASCII and compared as the wire compares them. Views that a reader returns live as long
// as the carrier is unchanged; a writer copies what it is given before `set` returns. Implementations never
// throw, and belong to one thread at a time. Bytes from the wire are hostile: a reader hands them out as they
// are, the propagator judges. Source: OpenTelemetry Context, TextMap Propagator; conventions 7.6.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <midtrace/context/function_ref.h>

namespace midtrace {
inline namespace v1 {

// What a propagator has to know of the wire.
enum class CarrierKind : std::uint8_t {
  text_map,  // message headers, application properties: values are any bytes, of repeated fields the last
             // wins
  // Names in any case, values in printable ASCII, and a repeated traceparent restarts the trace.
  http,
};

class CarrierReader {
 public:
  // Every value of `name`, in wire order; the visitor returns false to stop.
  virtual void get_all(std::string_view name,
                       FunctionRef<bool(std::string_view value)> visit) const noexcept = 0;
  // Every field; the visitor returns false to stop.
  virtual void for_each(
      FunctionRef<bool(std::string_view name, std::string_view value)> visit) const noexcept = 0;
  virtual CarrierKind kind() const noexcept { return CarrierKind::text_map; }

 protected:
  ~CarrierReader() = default;
};

class CarrierWriter {
 public:
  // Replaces every earlier value of `name`.
  virtual void set(std::string_view name, std::string_view value) noexcept = 0;
  virtual CarrierKind kind() const noexcept { return CarrierKind::text_map; }

 protected:
  ~CarrierWriter() = default;
};

// A carrier on a std::map, for tests, custom transports and examples.
class MapCarrier final : public CarrierReader, public CarrierWriter {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  explicit MapCarrier(Map& map) noexcept : map_(&map) {}

  void get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept override;
  void for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept override;
  void set(std::string_view name, std::string_view value) noexcept override;
  CarrierKind kind() const noexcept override { return CarrierKind::text_map; }

 private:
  Map* map_;
};

}  // namespace v1
}  // namespace midtrace
