// Numbers of launch configurations.
#pragma once

#include "../backend.h"

namespace lmx::cuda {

// What a block may have of shared memory on any card from compute capability 8.0 on (99 KiB on 8.6, 8.9 and 12.0, 163 KiB on 8.0, 227 KiB on
// 9.0). A kernel that wants more asks its device.
constexpr std::size_t kLeastSharedMemory = 99 * 1024;

// Of an H100 or H200. Work is cut to keep so many busy on every card, so that results do not depend on the card.
constexpr int kMultiprocessors = 132;

constexpr index_t ceil_div(index_t a, index_t b) { return (a + b - 1) / b; }

}  // namespace lmx::cuda
