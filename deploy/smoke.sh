#!/usr/bin/env bash
# On a machine with a GPU and Container-Optimized OS: installs the driver as Dataflow does, and runs the image's own test
# without network and as nobody. Usage: bash smoke.sh IMAGE
set -euo pipefail
image=$1

sudo cos-extensions install gpu
sudo mount --bind /var/lib/nvidia /var/lib/nvidia
sudo mount -o remount,exec /var/lib/nvidia
/var/lib/nvidia/bin/nvidia-smi

export HOME=/tmp/smoke # the home directory of this system is not writable for docker's settings
docker-credential-gcr configure-docker --registries="${image%%/*}"
docker run --rm --network none --user 65534:65534 --env HOME=/tmp \
  --volume /var/lib/nvidia/lib64:/usr/local/nvidia/lib64:ro \
  --device /dev/nvidia0 --device /dev/nvidiactl --device /dev/nvidia-uvm \
  --entrypoint python "$image" smoke_test.py
