// What can be found out about the process, the host and the container, for the Resource.
//
// Read once, at set-up, from /proc, /etc/machine-id and uname(); what cannot be had is left out. Command
// lines and user names are never read, because they hold secrets. Linux. Cold; may throw std::bad_alloc. One
// thread. Source: OpenTelemetry resource semantic conventions (process, host, os, container).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <midtrace/config/resource.h>
#include <midtrace/setup.h>

#include "environment.h"

namespace midtrace {
inline namespace v1 {

std::vector<ResourceAttribute> detect_resource(const ResourceDetectors& wanted);

// MIDTRACE_RESOURCE_DETECTORS: `all` (the default), `none`, or a list of process, host, container.
ResourceDetectors detectors_from(const Environment& environment);

// The id of the container this process runs in, 64 hexadecimal digits, or empty. `cgroup` and `mountinfo` are
// the texts of /proc/self/cgroup (version 1 names the container there) and /proc/self/mountinfo (version 2
// only there).
std::string_view container_id(std::string_view cgroup, std::string_view mountinfo) noexcept;

// In a forked child: the process is another one now.
void renew_resource_in_child(Resource& resource);

}  // namespace v1
}  // namespace midtrace
