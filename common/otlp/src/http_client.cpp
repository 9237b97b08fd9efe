#include "http_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <thread>

#include "export/descriptor.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// How late a deadline that another thread brings forward may be noticed.
constexpr milliseconds step{20};
// Bodies of answers are a few bytes; what a large one has grown is given back above this.
constexpr std::size_t kept_body = 64U << 10U;

bool is_retryable(long status) noexcept {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

Answer::Kind kind_of(CURLcode result) noexcept {
  switch (result) {
    case CURLE_OK:
      return Answer::Kind::answered;
    case CURLE_OPERATION_TIMEDOUT:
      return Answer::Kind::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
      return Answer::Kind::tls;
    case CURLE_FILESIZE_EXCEEDED:
      return Answer::Kind::too_large;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return Answer::Kind::internal;
    default:
      return Answer::Kind::connection;
  }
}

}  // namespace

// --- sockets

bool HttpClient::Socket::ours() const noexcept {
  struct stat status {};
  return fstat(number, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

int HttpClient::open_socket(const curl_sockaddr& address) noexcept {
  int number = socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
  if (number >= 0) number = descriptor::above_standard_streams(number);
  if (number < 0) return static_cast<int>(CURL_SOCKET_BAD);
  struct stat status {};
  const auto free_place =
      std::find_if(sockets_.begin(), sockets_.end(), [](const Socket& socket) { return socket.number < 0; });
  if (free_place != sockets_.end() && fstat(number, &status) == 0)
    *free_place = {number, status.st_dev, status.st_ino};
  return number;
}

int HttpClient::close_socket(int number) noexcept {
  const auto found = std::find_if(sockets_.begin(), sockets_.end(),
                                  [=](const Socket& socket) { return socket.number == number; });
  if (found != sockets_.end()) {
    const bool ours = found->ours();
    *found = {};
    if (!ours) return 0;
  }
  return ::close(number);
}

bool HttpClient::intact() const noexcept {
  return std::all_of(sockets_.begin(), sockets_.end(),
                     [](const Socket& socket) { return socket.number < 0 || socket.ours(); });
}

void HttpClient::leave_to_parent() noexcept {
  for (Socket& socket : sockets_) {
    if (socket.number >= 0 && socket.ours()) ::close(socket.number);
    socket = {};
  }
}

// --- the handle

std::unique_ptr<HttpClient> HttpClient::make(const Settings& settings) {
  std::unique_ptr<HttpClient> client(new HttpClient(settings));
  if (!client->configure()) client.reset();
  return client;
}

HttpClient::~HttpClient() {
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  curl_slist_free_all(headers_);
}

bool HttpClient::configure() {
  easy_ = curl_easy_init();
  multi_ = curl_multi_init();
  if (easy_ == nullptr || multi_ == nullptr) return false;
  // One is all that is used; the connection behind a new one, which would otherwise be kept too, is closed.
  if (curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) return false;

  const auto add_header = [this](const char* line) {
    curl_slist* longer = curl_slist_append(headers_, line);
    if (longer != nullptr) headers_ = longer;
    return longer != nullptr;
  };
  bool good = add_header(settings_.protocol == Protocol::http_json ? "Content-Type: application/json"
                                                                   : "Content-Type: application/x-protobuf");
  if (settings_.compression == Compression::gzip) good = good && add_header("Content-Encoding: gzip");
  // Without it libcurl asks first whether a large body is welcome, and waits for the answer.
  good = good && add_header("Expect:");
  for (const std::string& line : settings_.header_lines)
    good = good && add_header(line.c_str());

  const auto set = [&](CURLoption option, auto value) {
    good = good && curl_easy_setopt(easy_, option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, settings_.url.c_str());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROGRESS, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_POST, 1L);
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_USERAGENT, "midtrace-OTLP-Exporter-Cpp/" MIDTRACE_VERSION);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  // Where this libcurl does not have HTTP/2 it stays with HTTP/1.1.
  static_cast<void>(curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS)));
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(settings_.response_bytes));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  // A look-up of the host's name that does not return must not hold up the shutdown.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  if (!settings_.certificate.empty()) {
    set(CURLOPT_CAINFO, settings_.certificate.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // and no other authority
  }
  if (!settings_.client_certificate.empty()) {
    set(CURLOPT_SSLCERT, settings_.client_certificate.c_str());
    set(CURLOPT_SSLKEY, settings_.client_key.c_str());
  }

  using WriteFunction = std::size_t (*)(char*, std::size_t, std::size_t, void*);
  using OpenFunction = curl_socket_t (*)(void*, curlsocktype, curl_sockaddr*);
  using CloseFunction = int (*)(void*, curl_socket_t);
  const WriteFunction write = [](char* bytes, std::size_t, std::size_t count, void* self) -> std::size_t {
    return static_cast<HttpClient*>(self)->keep(bytes, count) ? count : 0;
  };
  const OpenFunction open = [](void* self, curlsocktype, curl_sockaddr* address) -> curl_socket_t {
    return static_cast<HttpClient*>(self)->open_socket(*address);
  };
  const CloseFunction close = [](void* self, curl_socket_t number) -> int {
    return static_cast<HttpClient*>(self)->close_socket(number);
  };
  set(CURLOPT_WRITEFUNCTION, write);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_OPENSOCKETFUNCTION, open);
  set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set(CURLOPT_CLOSESOCKETFUNCTION, close);
  set(CURLOPT_CLOSESOCKETDATA, static_cast<void*>(this));
  return good;
}

bool HttpClient::keep(const char* bytes, std::size_t count) noexcept {
  if (count > settings_.response_bytes - std::min(body_.size(), settings_.response_bytes)) {
    too_large_ = true;
    return false;
  }
  try {
    body_.append(bytes, count);
    return true;
  } catch (const std::exception&) {
    no_memory_ = true;
    return false;
  }
}

void HttpClient::set_timeouts(milliseconds left) noexcept {
  if (settings_.timeout > milliseconds(0)) left = std::min(left, settings_.timeout);
  // Zero would mean none at all; longer than a day, that nobody minds.
  const auto most =
      static_cast<long>(std::clamp(left, milliseconds(1), milliseconds(std::chrono::hours(24))).count());
  static_cast<void>(curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, most));
  static_cast<void>(curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, most));
}

Answer HttpClient::post(std::string_view body, Patience& patience, Patience::Time deadline) noexcept {
  const auto left = [&] {
    return std::chrono::duration_cast<milliseconds>(patience.until(deadline) - SteadyClock::now());
  };
  Answer late;
  late.kind = Answer::Kind::timeout;
  late.error = "the time for this export is over";
  if (left() <= milliseconds(0)) return late;

  if (body_.capacity() > kept_body) std::string().swap(body_);
  body_.clear();
  too_large_ = false;
  no_memory_ = false;
  error_[0] = '\0';
  set_timeouts(left());
  static_cast<void>(curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, distrust_connection_ ? 1L : 0L));
  static_cast<void>(curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.data()));
  static_cast<void>(
      curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size())));
  if (curl_multi_add_handle(multi_, easy_) != CURLM_OK) return answer_of(CURLE_FAILED_INIT);

  Answer taken;
  taken.kind = Answer::Kind::connection;
  taken.may_repeat = true;
  taken.error = "the application closed the connection's socket";

  CURLcode result = CURLE_FAILED_INIT;
  bool over = false;
  for (int running = 1; !over;) {
    // From here on libcurl must not touch what is no longer its own, not even to say goodbye.
    if (!intact()) return taken;
    if (curl_multi_perform(multi_, &running) != CURLM_OK || running == 0) break;
    const milliseconds rest = std::min(left(), step);
    over = rest <= milliseconds(0);
    if (over) break;
    int descriptors = 0;
    // Not curl_multi_poll(): it reads from a descriptor that we could not tell from another's.
    if (curl_multi_wait(multi_, nullptr, 0, static_cast<int>(rest.count()), &descriptors) != CURLM_OK) break;
    if (descriptors == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  int remaining = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &remaining)) {
    if (message->msg == CURLMSG_DONE) result = message->data.result;
  }
  const Answer answer = over ? late : answer_of(result);
  distrust_connection_ = answer.kind != Answer::Kind::answered;
  // It may end the connection, over TLS by writing to it.
  if (intact()) curl_multi_remove_handle(multi_, easy_);
  return answer;
}

Answer HttpClient::answer_of(CURLcode result) noexcept {
  Answer answer;
  static_cast<void>(curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &answer.status));
  if (no_memory_) result = CURLE_OUT_OF_MEMORY;
  answer.kind = too_large_ ? Answer::Kind::too_large : kind_of(result);
  answer.error = error_[0] != '\0' && !no_memory_ ? error_.data() : curl_easy_strerror(result);
  answer.body = body_;
  // With TLS 1.3 a client's certificate is examined only after the handshake; libcurl tells that by its words
  // alone.
  if (answer.kind == Answer::Kind::connection && answer.error.find(" alert") != std::string_view::npos)
    answer.kind = Answer::Kind::tls;
  // A refusal is one also when the rest of it is missing.
  if (answer.kind == Answer::Kind::connection && answer.status >= 300) answer.kind = Answer::Kind::answered;
  switch (answer.kind) {
    case Answer::Kind::answered: {
      answer.may_repeat = is_retryable(answer.status);
      curl_off_t seconds = 0;
      if (curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
        answer.retry_after = std::chrono::seconds(std::min<curl_off_t>(seconds, 1000000000));
      break;
    }
    case Answer::Kind::connection:
    case Answer::Kind::timeout:
      answer.may_repeat = true;
      break;
    case Answer::Kind::tls:
      // A handshake that broke, or what the other side says of it; what we examined and found wrong stays
      // wrong.
      answer.may_repeat = result == CURLE_SSL_CONNECT_ERROR || kind_of(result) == Answer::Kind::connection;
      break;
    case Answer::Kind::too_large:
    case Answer::Kind::internal:
      break;
  }
  return answer;
}

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
