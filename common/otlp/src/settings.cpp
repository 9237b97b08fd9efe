#include "settings.h"

#include <curl/curl.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "context/hex.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

namespace {

using std::chrono::milliseconds;

constexpr const char* default_base = "http://localhost:4318";
constexpr const char* traces_path = "v1/traces";

// The two variables of a setting: for traces, and for all signals.
struct Variables {
  const char* traces;
  const char* general;
};
constexpr Variables endpoint_variables{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"};
constexpr Variables protocol_variables{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"};
constexpr Variables headers_variables{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"};
constexpr Variables compression_variables{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                                          "OTEL_EXPORTER_OTLP_COMPRESSION"};
constexpr Variables timeout_variables{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"};
constexpr Variables certificate_variables{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                                          "OTEL_EXPORTER_OTLP_CERTIFICATE"};
constexpr Variables client_certificate_variables{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
                                                 "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"};
constexpr Variables client_key_variables{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
                                         "OTEL_EXPORTER_OTLP_CLIENT_KEY"};

// The variable that is set, and its value; the one for traces first.
struct Set {
  const char* variable;
  std::string value;
};
std::optional<Set> find(const Environment& environment, const Variables& variables) {
  for (const char* variable : {variables.traces, variables.general}) {
    if (auto value = environment.text(variable)) return Set{variable, std::move(*value)};
  }
  return std::nullopt;
}

constexpr const char* from_code = "code";
constexpr const char* by_default = "default";

// The origin of a setting for which the default holds instead.
std::string invalid(const char* variable) { return std::string(variable) + ", invalid: see the warning"; }

void describe(Settings& settings, const char* name, std::string value, std::string origin) {
  settings.described.push_back({name, std::move(value), std::move(origin)});
}

// --- the endpoint

class Url {
 public:
  Url() : handle_(curl_url()) {}
  bool read(const std::string& text) noexcept {
    return handle_ != nullptr && curl_url_set(handle_.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK;
  }
  // Empty when the URL has no such part.
  std::string part(CURLUPart part) const {
    char* text = nullptr;
    if (curl_url_get(handle_.get(), part, &text, 0) != CURLUE_OK || text == nullptr) return {};
    const std::unique_ptr<char, void (*)(void*)> freed(text, curl_free);
    return text;
  }
  // Null takes the part away.
  void set(CURLUPart part, const char* text) noexcept {
    static_cast<void>(curl_url_set(handle_.get(), part, text, 0));
  }

 private:
  struct Cleanup {
    void operator()(CURLU* handle) const noexcept { curl_url_cleanup(handle); }
  };
  std::unique_ptr<CURLU, Cleanup> handle_;
};

std::string problem_of_endpoint(const std::string& endpoint, std::string_view source) {
  const bool may_hold_a_password = endpoint.find_first_of("@?") != std::string::npos;
  return "The OTLP endpoint" + (may_hold_a_password ? std::string() : " " + quoted(endpoint)) + " of " +
         std::string(source) +
         " is not a URL that begins with http:// or https:// and names a host. Write, for example, "
         "http://localhost:4318";
}

// `is_base`: v1/traces belongs behind it.
void take_endpoint(Settings& settings, const std::string& endpoint, std::string_view source, bool is_base) {
  Url url;
  const bool printable = std::none_of(endpoint.begin(), endpoint.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F;
  });
  // libcurl would forgive a slash too few or too many, and take the path's beginning for the host.
  const std::size_t authority = endpoint.find("://");
  const bool named = authority != std::string::npos && authority == endpoint.find(':') &&
                     endpoint.find('/', authority + 3) != authority + 3;
  if (!printable || !named || !url.read(endpoint) || url.part(CURLUPART_HOST).empty()) {
    settings.problem = problem_of_endpoint(endpoint, source);
    return;
  }
  const std::string scheme = url.part(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    settings.problem = problem_of_endpoint(endpoint, source);
    return;
  }
  settings.url = endpoint;
  if (is_base) {
    std::string path = url.part(CURLUPART_PATH);
    if (!path.ends_with('/')) path += '/';
    path += traces_path;
    url.set(CURLUPART_PATH, path.c_str());
    settings.url = url.part(CURLUPART_URL);
  }
  for (const CURLUPart secret :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    url.set(secret, nullptr);
  settings.shown_url = url.part(CURLUPART_URL);
}

void read_endpoint(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  std::string origin = by_default;
  if (!options.endpoint.empty()) {
    origin = from_code;
    take_endpoint(settings, options.endpoint, "otlp::ExporterOptions::endpoint", false);
  } else if (const auto traces = environment.text(endpoint_variables.traces)) {
    origin = endpoint_variables.traces;
    take_endpoint(settings, *traces, endpoint_variables.traces, false);
  } else if (const auto base = environment.text(endpoint_variables.general)) {
    origin = endpoint_variables.general;
    take_endpoint(settings, *base, endpoint_variables.general, true);
  } else {
    take_endpoint(settings, default_base, "the default", true);
  }
  describe(settings, "OTLP endpoint", settings.problem.empty() ? settings.shown_url : "none", origin);
}

// --- protocol, compression, timeout

void read_protocol(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  std::string origin = by_default;
  if (options.protocol) {
    settings.protocol = *options.protocol;
    origin = from_code;
  } else if (const auto set = find(environment, protocol_variables)) {
    origin = set->variable;
    const std::string word = lower_case(set->value);
    if (word == "http/json") {
      settings.protocol = Protocol::http_json;
    } else if (word == "grpc") {
      settings.supported = false;
      environment.warn(set->variable,
                       std::string(set->variable) +
                           " is \"grpc\", which midtrace does not speak; nothing is exported that "
                           "way. Set it to http/protobuf and use the receiver's HTTP port, which is "
                           "4318 by default");
    } else if (word != "http/protobuf") {
      origin = invalid(set->variable);
      environment.warn(set->variable, std::string(set->variable) + " is " + quoted(set->value) +
                                          ", which is no protocol of OTLP; using http/protobuf. There are "
                                          "http/protobuf and http/json");
    }
  }
  describe(settings, "OTLP protocol",
           settings.protocol == Protocol::http_json ? "http/json" : "http/protobuf", origin);
}

void read_compression(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  std::string origin = by_default;
  if (options.compression) {
    settings.compression = *options.compression;
    origin = from_code;
  } else if (const auto set = find(environment, compression_variables)) {
    origin = set->variable;
    const std::string word = lower_case(set->value);
    if (word == "gzip") {
      settings.compression = Compression::gzip;
    } else if (word != "none") {
      origin = invalid(set->variable);
      environment.warn(set->variable, std::string(set->variable) + " is " + quoted(set->value) +
                                          ", which is neither gzip nor none; using none");
    }
  }
  describe(settings, "OTLP compression", settings.compression == Compression::gzip ? "gzip" : "none", origin);
}

void read_timeout(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  constexpr milliseconds most{0x7FFFFFFF};
  std::string origin = by_default;
  if (options.timeout) {
    if (*options.timeout >= milliseconds(0) && *options.timeout <= most) {
      settings.timeout = *options.timeout;
      origin = from_code;
    } else {
      environment.warn("otlp::ExporterOptions::timeout",
                       "otlp::ExporterOptions::timeout is " + std::to_string(options.timeout->count()) +
                           " ms, which is not from 0 to " + std::to_string(most.count()) + "; using " +
                           std::to_string(settings.timeout.count()));
    }
  } else if (const auto set = find(environment, timeout_variables)) {
    const NumberRange range{.unit = "milliseconds"};
    const auto instead = static_cast<std::uint32_t>(settings.timeout.count());
    const auto number = environment.number(set->variable, range, instead);
    settings.timeout = milliseconds(number.value_or(instead));
    origin = number ? set->variable : invalid(set->variable);
  }
  describe(settings, "OTLP timeout", std::to_string(settings.timeout.count()) + " ms", origin);
}

// --- headers

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}
bool is_field_value(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
}

// Those that describe the body or the connection are ours: another value would make the request unreadable.
bool is_reserved(std::string_view name) {
  const std::string word = lower_case(name);
  for (const char* ours :
       {"content-type", "content-encoding", "content-length", "transfer-encoding", "expect", "connection"}) {
    if (word == ours) return true;
  }
  return false;
}

std::string_view problem_of_header(const Header& header) {
  if (!is_token(header.name)) return "has a name that HTTP does not allow";
  if (!is_field_value(header.value)) return "has a control character in its value";
  if (is_reserved(header.name)) return "is set by midtrace itself";
  return {};
}

std::optional<std::string> percent_decoded_bytes(std::string_view text) {
  const auto digit = [](char c) {
    return hex::digit(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const unsigned high = digit(text[i + 1]);
    const unsigned low = digit(text[i + 2]);
    if (high > 15 || low > 15) return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

// The later of two headers with the same name replaces the earlier.
void take_header(std::vector<Header>& headers, Header header) {
  const std::string name = lower_case(header.name);
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&name](const Header& other) { return lower_case(other.name) == name; });
  if (found != headers.end()) {
    *found = std::move(header);
  } else {
    headers.push_back(std::move(header));
  }
}

std::string names_of(const std::vector<Header>& headers) {
  std::string names;
  for (const Header& header : headers)
    names.append(names.empty() ? "" : ", ").append(header.name);
  return names.empty() ? "none" : names;
}

void read_headers(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  std::vector<Header> headers;
  std::string origin = options.headers.empty() ? by_default : from_code;
  if (const auto set = find(environment, headers_variables)) {
    origin = options.headers.empty() ? set->variable : std::string(set->variable) + " and code";
    std::string error;
    for (Header& header : parse_headers(set->value, error))
      take_header(headers, std::move(header));
    if (!error.empty()) {
      origin = invalid(set->variable);
      environment.warn(set->variable,
                       std::string(set->variable) + ": " + error +
                           "; using none of it. Write name=value,name=value, with ',', ';' and "
                           "'%' in values percent-encoded");
    }
  }
  for (const Header& header : options.headers) {
    const std::string_view problem = problem_of_header(header);
    if (!problem.empty()) {
      settings.problem = "The header " + quoted(header.name) + " in otlp::ExporterOptions::headers ";
      settings.problem += problem;
      settings.problem += "; leave it out or correct it";
      return;
    }
    take_header(headers, header);
  }
  for (const Header& header : headers) {
    // libcurl takes a name without a value for the wish to send no such header, unless it ends so.
    settings.header_lines.push_back(header.value.empty() ? header.name + ";"
                                                         : header.name + ": " + header.value);
  }
  describe(settings, "OTLP headers", names_of(headers), origin);
}

// --- files

std::string problem_of_file(const std::string& path, std::string_view what, std::string_view source) {
  const std::string sentence = "The " + std::string(what) + " " + quoted(path) + " of " + std::string(source);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(1U << 20U, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad() || (file.fail() && file.gcount() == 0 && errno != 0)) {
    const int reason = errno != 0 ? errno : EIO;
    return sentence + " cannot be read: " + std::generic_category().message(reason) +
           "; give the path of a PEM file that this process may read";
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.find("-----BEGIN ") == std::string::npos)
    return sentence + " is not a PEM file: it has no line that starts with -----BEGIN; give the path of one";
  return {};
}

void read_file(Settings& settings, std::string Settings::*path, const char* described,
               const std::string& chosen, const char* chosen_name, const Variables& variables,
               std::string_view what, const Environment& environment) {
  std::string_view source = chosen_name;
  settings.*path = chosen;
  if (chosen.empty()) {
    const auto set = find(environment, variables);
    if (!set) return;
    settings.*path = set->value;
    source = set->variable;
  }
  if (settings.problem.empty()) settings.problem = problem_of_file(settings.*path, what, source);
  describe(settings, described, quoted(settings.*path), chosen.empty() ? std::string(source) : from_code);
}

void read_files(Settings& settings, const ExporterOptions& options, const Environment& environment) {
  read_file(settings, &Settings::certificate, "OTLP certificate", options.certificate,
            "otlp::ExporterOptions::certificate", certificate_variables, "certificate file", environment);
  read_file(settings, &Settings::client_certificate, "OTLP client certificate", options.client_certificate,
            "otlp::ExporterOptions::client_certificate", client_certificate_variables,
            "client certificate file", environment);
  read_file(settings, &Settings::client_key, "OTLP client key", options.client_key,
            "otlp::ExporterOptions::client_key", client_key_variables, "client key file", environment);
  if (settings.problem.empty() && settings.client_certificate.empty() != settings.client_key.empty()) {
    settings.problem = std::string("OTLP over TLS has a client ") +
                       (settings.client_key.empty() ? "certificate but no key" : "key but no certificate") +
                       "; set both " + client_certificate_variables.general + " and " +
                       client_key_variables.general + ", or neither";
  }
}

}  // namespace

std::vector<Header> parse_headers(std::string_view list, std::string& error) {
  std::vector<Header> headers;
  std::size_t position = 0;
  for (std::string_view rest = list;;) {
    ++position;
    const std::size_t comma = rest.find(',');
    const std::string_view member = trimmed(rest.substr(0, comma));
    const auto fail = [&](std::string_view problem) {
      // The value may be a password; so may be all of a member without '='.
      error = "its member " + std::to_string(position) + " ";
      error += problem;
      headers.clear();
    };
    // An empty member is what a comma at the end leaves.
    if (!member.empty()) {
      const std::size_t equals = member.find('=');
      if (equals == std::string_view::npos) {
        fail("has no '='");
        return headers;
      }
      auto value = percent_decoded_bytes(trimmed(member.substr(equals + 1)));
      if (!value) {
        fail("has a '%' that two hexadecimal digits do not follow");
        return headers;
      }
      if (member.find(';') != std::string_view::npos) {
        fail("has a ';', and properties have no meaning here");
        return headers;
      }
      Header header{std::string(trimmed(member.substr(0, equals))), std::move(*value)};
      if (const std::string_view problem = problem_of_header(header); !problem.empty()) {
        fail(problem);
        return headers;
      }
      headers.push_back(std::move(header));
    }
    if (comma == std::string_view::npos) return headers;
    rest.remove_prefix(comma + 1);
  }
}

Settings make_settings(const ExporterOptions& options, const Environment& surroundings) {
  const Environment environment = options.read_environment ? surroundings : surroundings.without_variables();
  Settings settings;
  read_protocol(settings, options, environment);
  if (!settings.supported) return settings;
  read_endpoint(settings, options, environment);
  read_compression(settings, options, environment);
  read_timeout(settings, options, environment);
  if (settings.problem.empty()) read_headers(settings, options, environment);
  read_files(settings, options, environment);
  settings.retry = options.retry;
  settings.retry.attempts = std::max(settings.retry.attempts, 1U);
  // zlib counts in 32 bits.
  settings.request_bytes = std::min<std::size_t>(options.request_bytes, 1U << 30U);
  settings.response_bytes = options.response_bytes;
  return settings;
}

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
