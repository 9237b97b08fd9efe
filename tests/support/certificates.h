// Certificates for servers with TLS in tests, made by the program openssl.
#ifndef MIDTRACE_TESTS_SUPPORT_CERTIFICATES_H_
#define MIDTRACE_TESTS_SUPPORT_CERTIFICATES_H_

#include <filesystem>
#include <string>

namespace midtrace::test {

// A certificate authority of its own in `directory`: authority.pem, and signed by it server.pem/.key for
// 127.0.0.1 and localhost, elsewhere.pem/.key for another host, expired.pem/.key, and client.pem/.key. False
// when the program openssl is not there or fails.
bool make_certificates(const std::filesystem::path& directory, std::string& why_not);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_CERTIFICATES_H_
