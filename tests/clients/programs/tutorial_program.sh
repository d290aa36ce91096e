# Does the steps of AWS's tutorial with the AWS CLI, and prints the result of each.
set -euo pipefail

endpoint=$1
mi() { "$AWS" medical-imaging --endpoint-url "$endpoint" --output text "$@"; }
wait_for() { # a state, then the command that prints it
    local state=$1
    shift
    until [[ " $state " == *" $("$@") "* ]]; do sleep 0.01; done
}

datastore=$(mi create-datastore --datastore-name tutorial --query datastoreId)
datastore_status() { mi get-datastore --datastore-id "$datastore" --query datastoreProperties.datastoreStatus; }
wait_for ACTIVE datastore_status
job=$(mi start-dicom-import-job --datastore-id "$datastore" --data-access-role-arn arn:aws:iam::123456789012:role/any \
    --input-s3-uri s3://scans/ --output-s3-uri s3://results/ --query jobId)
job_status() { mi get-dicom-import-job --datastore-id "$datastore" --job-id "$job" --query jobProperties.jobStatus; }
wait_for "COMPLETED FAILED" job_status
imported=$(job_status)

summary() { mi search-image-sets --datastore-id "$datastore" --query "imageSetsMetadataSummaries[0].$1"; }
search() {
    mi search-image-sets --datastore-id "$datastore" --search-criteria "{\"filters\": [$1]}" \
        --query 'length(imageSetsMetadataSummaries)'
}
equal() { search "{\"operator\": \"EQUAL\", \"values\": [{\"$1\": \"$2\"}]}"; }
date() { echo "{\"DICOMStudyDateAndTime\": {\"DICOMStudyDate\": \"$1\"}}"; }
image_set=$(summary imageSetId)
found=$(equal DICOMPatientId "$(summary DICOMTags.DICOMPatientId)")
found+=", $(equal DICOMStudyInstanceUID "$(summary DICOMTags.DICOMStudyInstanceUID)")"
found+=", $(search "{\"operator\": \"BETWEEN\", \"values\": [$(date 19000101), $(date 20991231)]}")"
found+=", $(equal DICOMSeriesInstanceUID 1.2.3)"

folder=$(mktemp -d)
mi get-image-set-metadata --datastore-id "$datastore" --image-set-id "$image_set" "$folder/metadata.gz" > "$folder/log"
gunzip "$folder/metadata.gz"
patient=$(sed 's/.*"PatientID":"\([^"]*\)".*/\1/' "$folder/metadata")
frame=$(sed 's/.*"ImageFrames":\[{"ID":"\([^"]*\)".*/\1/' "$folder/metadata")
content_type=$(mi get-image-frame --datastore-id "$datastore" --image-set-id "$image_set" \
    --image-frame-information "imageFrameId=$frame" --query contentType "$folder/frame")

copy=$(mi copy-image-set --datastore-id "$datastore" --source-image-set-id "$image_set" \
    --copy-image-set-information '{"sourceImageSet": {"latestVersionId": "1"}}' \
    --query destinationImageSetProperties.imageSetId)
state() { mi get-image-set --datastore-id "$datastore" --image-set-id "$1" --query imageSetState; }
wait_for ACTIVE state "$copy"
updates='{\"Patient\": {\"DICOM\": {\"PatientName\": \"TEST^TWO\"}}}' # version 1 of the CLI encodes blobs by itself
mi update-image-set-metadata --datastore-id "$datastore" --image-set-id "$copy" --latest-version-id 1 \
    --update-image-set-metadata-updates "{\"DICOMUpdates\": {\"updatableAttributes\": \"$updates\"}}" > "$folder/log"
wait_for ACTIVE state "$copy"
versions=$("$AWS" medical-imaging --endpoint-url "$endpoint" --output json list-image-set-versions \
    --datastore-id "$datastore" --image-set-id "$copy" --query 'imageSetPropertiesList[].[versionId, ImageSetWorkflowStatus]')
for each in "$image_set" "$copy"; do
    mi delete-image-set --datastore-id "$datastore" --image-set-id "$each" > "$folder/log"
    wait_for DELETED state "$each"
done
mi delete-datastore --datastore-id "$datastore" > "$folder/log"
wait_for DELETED datastore_status
echo "{\"created\": \"ACTIVE\", \"imported\": \"$imported\", \"found\": [$found], \"patient\": \"$patient\"," \
    "\"frame\": \"$content_type\", \"versions\": $versions, \"deleted\": \"DELETED\"}"
rm -r "$folder"
