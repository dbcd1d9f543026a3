#include "shared_library.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <algorithm>
#include <vector>

namespace lmx::cuda {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Folder of the file this code was loaded from, with a trailing slash.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return "./";
  const std::string file = info.dli_fname;
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? "./" : file.substr(0, slash + 1);
}

// Glob patterns of folders, in search order.
std::vector<std::string> folder_patterns(const std::string& wheel_folder) {
  std::vector<std::string> patterns = split(environment("LAYERMIX_CUDA_LIBRARIES"));
  patterns.push_back("");  // the loader's own search
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const std::string home = environment(name); !home.empty()) patterns.push_back(home + "/lib64");
  }
  patterns.push_back("/usr/local/cuda*/lib64");
  const std::string site = "/lib/python3*/site-packages/nvidia/" + wheel_folder;
  if (const std::string active = environment("VIRTUAL_ENV"); !active.empty()) patterns.push_back(active + site);
  for (const std::string& folder : split(environment("PATH"))) {
    const std::size_t bin = folder.rfind("/bin");
    if (bin != std::string::npos && bin + 4 == folder.size()) patterns.push_back(folder.substr(0, bin) + site);
  }
  for (const char* up : {"../", "../../", "../../../"}) patterns.push_back(own_folder() + up + ".cuda" + site);
  return patterns;
}

std::vector<std::string> expand(const std::string& pattern) {
  if (pattern.empty()) return {""};
  std::vector<std::string> folders;
  glob_t matches{};
  if (glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) folders.push_back(std::string(matches.gl_pathv[i]) + "/");
  }
  globfree(&matches);
  return folders;
}

}  // namespace

void* open_library(const std::string& soname, const std::string& wheel_folder, std::string* tried) {
  for (const std::string& pattern : folder_patterns(wheel_folder)) {
    for (const std::string& folder : expand(pattern)) {
      if (void* library = dlopen((folder + soname).c_str(), RTLD_NOW | RTLD_GLOBAL)) return library;
      if (tried != nullptr) *tried += (tried->empty() ? "" : ", ") + (folder.empty() ? "the loader's path" : folder);
    }
  }
  return nullptr;
}

}  // namespace lmx::cuda
