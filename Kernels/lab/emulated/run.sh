#!/bin/sh
# Runs the packed products, the quantizing and the tuning kernels on a CPU, one fiber a CUDA thread: indices, protocols and
# gradients, without a GPU. $1: CUDA's headers.
set -e
headers=$(realpath "$1")
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -r "$build"' EXIT
mkdir "$build/include"
cp ../../include/*.cuh "$build/include/"
cp mma.cuh packed_ring.cuh roles_sync.cuh "$build/include/"
cp ../../packed_product.cu ../../packed_matmul.cu ../../packed_matmul_roles.cu ../../quantize_*.cu ../../tune_*.cu "$build/"
for check in quantize tune check; do
    c++ -std=c++17 -O1 -g -w -I"$headers" -I"$build" -I.. -I../../../Sources/CrumbABI/include -include cuda.cuh \
        $check.cc -o "$build/$check" -lpthread
    "$build/$check"
done
