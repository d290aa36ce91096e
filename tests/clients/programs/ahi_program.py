"""Read an image set, or all of a study, with AHItoDICOMInterface, AWS's own reader; save the DICOM files it makes."""

import json
import multiprocessing
import os
import signal
import sys

from AHItoDICOMInterface.AHItoDICOM import AHItoDICOM

SECONDS = 30


def give_up(*_):
    """End the reader and its processes: it waits for ever for a frame that it could not decode."""
    for process in multiprocessing.active_children():
        process.kill()
    print(f"not read in {SECONDS} seconds", file=sys.stderr, flush=True)
    os._exit(1)


def main(job):
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    reader = AHItoDICOM(AHI_endpoint=job.get("endpoint"), fetcher_process_count=2, dicomizer_process_count=1)
    if "study" in job:
        datasets = reader.DICOMizeByStudyInstanceUID(datastore_id=job["datastore_id"], study_instance_uid=job["study"])
    else:
        datasets = reader.DICOMizeImageSet(datastore_id=job["datastore_id"], image_set_id=job["image_set_id"])
    print(json.dumps({"saved": [reader.saveAsDICOM(dataset, job["folder"]) for dataset in datasets]}))


if __name__ == "__main__":  # the reader starts processes, which may import this file
    main(json.loads(sys.argv[1]))
