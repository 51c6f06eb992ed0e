// SPDX-License-Identifier: MIT
// kube/pod_schema.cc: the table of a Pod's fields.
//
// Owns     nothing: one constant table.
// Knows    base.                     Known by  etl (explains refusals), kubectl_local (judges specs).
// The table contains what the types of k8s.io/api v0.33 (core/v1, meta/v1) accept. `make test-kubernetes` compares it with the schema that
// the API server publishes.
#include "kube/pod_schema.h"

#include "base/text.h"

namespace etlnode {

struct type_row {
    std::string_view name;
    std::string_view fields; // "NAME TYPE, NAME TYPE"
};

static constexpr type_row types[] = {
    {"Pod", "kind string, apiVersion string, metadata ObjectMeta, spec PodSpec, status PodStatus"},
    {"ObjectMeta", "name string, generateName string, namespace string, selfLink string, uid string, resourceVersion string, generation "
                   "int64, creationTimestamp time, deletionTimestamp time, "
                   "deletionGracePeriodSeconds int64, labels map string, annotations map string, ownerReferences []OwnerReference, "
                   "finalizers []string, managedFields []ManagedFieldsEntry"},
    {"OwnerReference", "apiVersion string, kind string, name string, uid string, controller bool, blockOwnerDeletion bool"},
    {"ManagedFieldsEntry",
        "manager string, operation string, apiVersion string, time time, fieldsType string, fieldsV1 any, subresource string"},
    {"PodSpec", "volumes []Volume, initContainers []Container, containers []Container, ephemeralContainers []EphemeralContainer, "
                "restartPolicy string, terminationGracePeriodSeconds int64, "
                "activeDeadlineSeconds int64, dnsPolicy string, nodeSelector map string, serviceAccountName string, serviceAccount string, "
                "automountServiceAccountToken bool, nodeName string, "
                "hostNetwork bool, hostPID bool, hostIPC bool, shareProcessNamespace bool, securityContext PodSecurityContext, "
                "imagePullSecrets []LocalObjectReference, hostname string, subdomain string, "
                "affinity Affinity, schedulerName string, tolerations []Toleration, hostAliases []HostAlias, priorityClassName string, "
                "priority int32, dnsConfig PodDNSConfig, "
                "readinessGates []PodReadinessGate, runtimeClassName string, enableServiceLinks bool, preemptionPolicy string, overhead "
                "map quantity, topologySpreadConstraints []TopologySpreadConstraint, "
                "setHostnameAsFQDN bool, os PodOS, hostUsers bool, schedulingGates []PodSchedulingGate, resourceClaims []PodResourceClaim, "
                "resources ResourceRequirements"},
    {"Volume", "name string, hostPath HostPathVolumeSource, emptyDir EmptyDirVolumeSource, gcePersistentDisk "
               "GCEPersistentDiskVolumeSource, awsElasticBlockStore AWSElasticBlockStoreVolumeSource, "
               "gitRepo GitRepoVolumeSource, secret SecretVolumeSource, nfs NFSVolumeSource, iscsi ISCSIVolumeSource, glusterfs "
               "GlusterfsVolumeSource, "
               "persistentVolumeClaim PersistentVolumeClaimVolumeSource, rbd RBDVolumeSource, flexVolume FlexVolumeSource, cinder "
               "CinderVolumeSource, cephfs CephFSVolumeSource, "
               "flocker FlockerVolumeSource, downwardAPI DownwardAPIVolumeSource, fc FCVolumeSource, azureFile AzureFileVolumeSource, "
               "configMap ConfigMapVolumeSource, "
               "vsphereVolume VsphereVirtualDiskVolumeSource, quobyte QuobyteVolumeSource, azureDisk AzureDiskVolumeSource, "
               "photonPersistentDisk PhotonPersistentDiskVolumeSource, "
               "projected ProjectedVolumeSource, portworxVolume PortworxVolumeSource, scaleIO ScaleIOVolumeSource, storageos "
               "StorageOSVolumeSource, csi CSIVolumeSource, ephemeral EphemeralVolumeSource, "
               "image ImageVolumeSource"},
    {"HostPathVolumeSource", "path string, type string"},
    {"EmptyDirVolumeSource", "medium string, sizeLimit quantity"},
    {"GCEPersistentDiskVolumeSource", "pdName string, fsType string, partition int32, readOnly bool"},
    {"AWSElasticBlockStoreVolumeSource", "volumeID string, fsType string, partition int32, readOnly bool"},
    {"GitRepoVolumeSource", "repository string, revision string, directory string"},
    {"SecretVolumeSource", "secretName string, items []KeyToPath, defaultMode int32, optional bool"},
    {"KeyToPath", "key string, path string, mode int32"},
    {"NFSVolumeSource", "server string, path string, readOnly bool"},
    {"ISCSIVolumeSource", "targetPortal string, iqn string, lun int32, iscsiInterface string, fsType string, readOnly bool, portals "
                          "[]string, chapAuthDiscovery bool, chapAuthSession bool, "
                          "secretRef LocalObjectReference, initiatorName string"},
    {"LocalObjectReference", "name string"},
    {"GlusterfsVolumeSource", "endpoints string, path string, readOnly bool"},
    {"PersistentVolumeClaimVolumeSource", "claimName string, readOnly bool"},
    {"RBDVolumeSource", "monitors []string, image string, fsType string, pool string, user string, keyring string, secretRef "
                        "LocalObjectReference, readOnly bool"},
    {"FlexVolumeSource", "driver string, fsType string, secretRef LocalObjectReference, readOnly bool, options map string"},
    {"CinderVolumeSource", "volumeID string, fsType string, readOnly bool, secretRef LocalObjectReference"},
    {"CephFSVolumeSource", "monitors []string, path string, user string, secretFile string, secretRef LocalObjectReference, readOnly bool"},
    {"FlockerVolumeSource", "datasetName string, datasetUUID string"},
    {"DownwardAPIVolumeSource", "items []DownwardAPIVolumeFile, defaultMode int32"},
    {"DownwardAPIVolumeFile", "path string, fieldRef ObjectFieldSelector, resourceFieldRef ResourceFieldSelector, mode int32"},
    {"ObjectFieldSelector", "apiVersion string, fieldPath string"},
    {"ResourceFieldSelector", "containerName string, resource string, divisor quantity"},
    {"FCVolumeSource", "targetWWNs []string, lun int32, fsType string, readOnly bool, wwids []string"},
    {"AzureFileVolumeSource", "secretName string, shareName string, readOnly bool"},
    {"ConfigMapVolumeSource", "name string, items []KeyToPath, defaultMode int32, optional bool"},
    {"VsphereVirtualDiskVolumeSource", "volumePath string, fsType string, storagePolicyName string, storagePolicyID string"},
    {"QuobyteVolumeSource", "registry string, volume string, readOnly bool, user string, group string, tenant string"},
    {"AzureDiskVolumeSource", "diskName string, diskURI string, cachingMode string, fsType string, readOnly bool, kind string"},
    {"PhotonPersistentDiskVolumeSource", "pdID string, fsType string"},
    {"ProjectedVolumeSource", "sources []VolumeProjection, defaultMode int32"},
    {"VolumeProjection", "secret SecretProjection, downwardAPI DownwardAPIProjection, configMap ConfigMapProjection, serviceAccountToken "
                         "ServiceAccountTokenProjection, "
                         "clusterTrustBundle ClusterTrustBundleProjection"},
    {"SecretProjection", "name string, items []KeyToPath, optional bool"},
    {"DownwardAPIProjection", "items []DownwardAPIVolumeFile"},
    {"ConfigMapProjection", "name string, items []KeyToPath, optional bool"},
    {"ServiceAccountTokenProjection", "audience string, expirationSeconds int64, path string"},
    {"ClusterTrustBundleProjection", "name string, signerName string, labelSelector LabelSelector, optional bool, path string"},
    {"LabelSelector", "matchLabels map string, matchExpressions []LabelSelectorRequirement"},
    {"LabelSelectorRequirement", "key string, operator string, values []string"},
    {"PortworxVolumeSource", "volumeID string, fsType string, readOnly bool"},
    {"ScaleIOVolumeSource", "gateway string, system string, secretRef LocalObjectReference, sslEnabled bool, protectionDomain string, "
                            "storagePool string, storageMode string, volumeName string, "
                            "fsType string, readOnly bool"},
    {"StorageOSVolumeSource", "volumeName string, volumeNamespace string, fsType string, readOnly bool, secretRef LocalObjectReference"},
    {"CSIVolumeSource",
        "driver string, readOnly bool, fsType string, volumeAttributes map string, nodePublishSecretRef LocalObjectReference"},
    {"EphemeralVolumeSource", "volumeClaimTemplate PersistentVolumeClaimTemplate"},
    {"PersistentVolumeClaimTemplate", "metadata ObjectMeta, spec PersistentVolumeClaimSpec"},
    {"PersistentVolumeClaimSpec",
        "accessModes []string, selector LabelSelector, resources VolumeResourceRequirements, volumeName string, storageClassName string, "
        "volumeMode string, "
        "dataSource TypedLocalObjectReference, dataSourceRef TypedObjectReference, volumeAttributesClassName string"},
    {"VolumeResourceRequirements", "limits map quantity, requests map quantity"},
    {"TypedLocalObjectReference", "apiGroup string, kind string, name string"},
    {"TypedObjectReference", "apiGroup string, kind string, name string, namespace string"},
    {"ImageVolumeSource", "reference string, pullPolicy string"},
    {"Container", "name string, image string, command []string, args []string, workingDir string, ports []ContainerPort, envFrom "
                  "[]EnvFromSource, env []EnvVar, resources ResourceRequirements, "
                  "resizePolicy []ContainerResizePolicy, restartPolicy string, volumeMounts []VolumeMount, volumeDevices []VolumeDevice, "
                  "livenessProbe Probe, readinessProbe Probe, startupProbe Probe, "
                  "lifecycle Lifecycle, terminationMessagePath string, terminationMessagePolicy string, imagePullPolicy string, "
                  "securityContext SecurityContext, stdin bool, stdinOnce bool, tty bool"},
    {"ContainerPort", "name string, hostPort int32, containerPort int32, protocol string, hostIP string"},
    {"EnvFromSource", "prefix string, configMapRef ConfigMapEnvSource, secretRef SecretEnvSource"},
    {"ConfigMapEnvSource", "name string, optional bool"},
    {"SecretEnvSource", "name string, optional bool"},
    {"EnvVar", "name string, value string, valueFrom EnvVarSource"},
    {"EnvVarSource", "fieldRef ObjectFieldSelector, resourceFieldRef ResourceFieldSelector, configMapKeyRef ConfigMapKeySelector, "
                     "secretKeyRef SecretKeySelector"},
    {"ConfigMapKeySelector", "name string, key string, optional bool"},
    {"SecretKeySelector", "name string, key string, optional bool"},
    {"ResourceRequirements", "limits map quantity, requests map quantity, claims []ResourceClaim"},
    {"ResourceClaim", "name string, request string"},
    {"ContainerResizePolicy", "resourceName string, restartPolicy string"},
    {"VolumeMount", "name string, readOnly bool, recursiveReadOnly string, mountPath string, subPath string, mountPropagation string, "
                    "subPathExpr string"},
    {"VolumeDevice", "name string, devicePath string"},
    {"Probe", "exec ExecAction, httpGet HTTPGetAction, tcpSocket TCPSocketAction, grpc GRPCAction, initialDelaySeconds int32, "
              "timeoutSeconds int32, periodSeconds int32, successThreshold int32, "
              "failureThreshold int32, terminationGracePeriodSeconds int64"},
    {"ExecAction", "command []string"},
    {"HTTPGetAction", "path string, port intOrString, host string, scheme string, httpHeaders []HTTPHeader"},
    {"HTTPHeader", "name string, value string"},
    {"TCPSocketAction", "port intOrString, host string"},
    {"GRPCAction", "port int32, service string"},
    {"Lifecycle", "postStart LifecycleHandler, preStop LifecycleHandler, stopSignal string"},
    {"LifecycleHandler", "exec ExecAction, httpGet HTTPGetAction, tcpSocket TCPSocketAction, sleep SleepAction"},
    {"SleepAction", "seconds int64"},
    {"SecurityContext", "capabilities Capabilities, privileged bool, seLinuxOptions SELinuxOptions, windowsOptions "
                        "WindowsSecurityContextOptions, runAsUser int64, runAsGroup int64, "
                        "runAsNonRoot bool, readOnlyRootFilesystem bool, allowPrivilegeEscalation bool, procMount string, seccompProfile "
                        "SeccompProfile, appArmorProfile AppArmorProfile"},
    {"Capabilities", "add []string, drop []string"},
    {"SELinuxOptions", "user string, role string, type string, level string"},
    {"WindowsSecurityContextOptions", "gmsaCredentialSpecName string, gmsaCredentialSpec string, runAsUserName string, hostProcess bool"},
    {"SeccompProfile", "type string, localhostProfile string"},
    {"AppArmorProfile", "type string, localhostProfile string"},
    {"EphemeralContainer", "name string, image string, command []string, args []string, workingDir string, ports []ContainerPort, envFrom "
                           "[]EnvFromSource, env []EnvVar, "
                           "resources ResourceRequirements, resizePolicy []ContainerResizePolicy, restartPolicy string, volumeMounts "
                           "[]VolumeMount, volumeDevices []VolumeDevice, livenessProbe Probe, "
                           "readinessProbe Probe, startupProbe Probe, lifecycle Lifecycle, terminationMessagePath string, "
                           "terminationMessagePolicy string, imagePullPolicy string, securityContext SecurityContext, "
                           "stdin bool, stdinOnce bool, tty bool, targetContainerName string"},
    {"PodSecurityContext", "seLinuxOptions SELinuxOptions, windowsOptions WindowsSecurityContextOptions, runAsUser int64, runAsGroup "
                           "int64, runAsNonRoot bool, supplementalGroups []int64, "
                           "supplementalGroupsPolicy string, fsGroup int64, sysctls []Sysctl, fsGroupChangePolicy string, seccompProfile "
                           "SeccompProfile, appArmorProfile AppArmorProfile, seLinuxChangePolicy string"},
    {"Sysctl", "name string, value string"},
    {"Affinity", "nodeAffinity NodeAffinity, podAffinity PodAffinity, podAntiAffinity PodAntiAffinity"},
    {"NodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution NodeSelector, preferredDuringSchedulingIgnoredDuringExecution "
                     "[]PreferredSchedulingTerm"},
    {"NodeSelector", "nodeSelectorTerms []NodeSelectorTerm"},
    {"NodeSelectorTerm", "matchExpressions []NodeSelectorRequirement, matchFields []NodeSelectorRequirement"},
    {"NodeSelectorRequirement", "key string, operator string, values []string"},
    {"PreferredSchedulingTerm", "weight int32, preference NodeSelectorTerm"},
    {"PodAffinity", "requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm, preferredDuringSchedulingIgnoredDuringExecution "
                    "[]WeightedPodAffinityTerm"},
    {"PodAffinityTerm", "labelSelector LabelSelector, namespaces []string, topologyKey string, namespaceSelector LabelSelector, "
                        "matchLabelKeys []string, mismatchLabelKeys []string"},
    {"WeightedPodAffinityTerm", "weight int32, podAffinityTerm PodAffinityTerm"},
    {"PodAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm, preferredDuringSchedulingIgnoredDuringExecution "
                        "[]WeightedPodAffinityTerm"},
    {"Toleration", "key string, operator string, value string, effect string, tolerationSeconds int64"},
    {"HostAlias", "ip string, hostnames []string"},
    {"PodDNSConfig", "nameservers []string, searches []string, options []PodDNSConfigOption"},
    {"PodDNSConfigOption", "name string, value string"},
    {"PodReadinessGate", "conditionType string"},
    {"TopologySpreadConstraint", "maxSkew int32, topologyKey string, whenUnsatisfiable string, labelSelector LabelSelector, minDomains "
                                 "int32, nodeAffinityPolicy string, nodeTaintsPolicy string, "
                                 "matchLabelKeys []string"},
    {"PodOS", "name string"},
    {"PodSchedulingGate", "name string"},
    {"PodResourceClaim", "name string, resourceClaimName string, resourceClaimTemplateName string"},
    {"PodStatus", "observedGeneration int64, phase string, conditions []PodCondition, message string, reason string, nominatedNodeName "
                  "string, hostIP string, hostIPs []HostIP, podIP string, "
                  "podIPs []PodIP, startTime time, initContainerStatuses []ContainerStatus, containerStatuses []ContainerStatus, qosClass "
                  "string, ephemeralContainerStatuses []ContainerStatus, resize string, "
                  "resourceClaimStatuses []PodResourceClaimStatus"},
    {"PodCondition",
        "type string, observedGeneration int64, status string, lastProbeTime time, lastTransitionTime time, reason string, message string"},
    {"HostIP", "ip string"},
    {"PodIP", "ip string"},
    {"ContainerStatus", "name string, state ContainerState, lastState ContainerState, ready bool, restartCount int32, image string, "
                        "imageID string, containerID string, started bool, "
                        "allocatedResources map quantity, resources ResourceRequirements, volumeMounts []VolumeMountStatus, user "
                        "ContainerUser, allocatedResourcesStatus []ResourceStatus, stopSignal string"},
    {"ContainerState", "waiting ContainerStateWaiting, running ContainerStateRunning, terminated ContainerStateTerminated"},
    {"ContainerStateWaiting", "reason string, message string"},
    {"ContainerStateRunning", "startedAt time"},
    {"ContainerStateTerminated",
        "exitCode int32, signal int32, reason string, message string, startedAt time, finishedAt time, containerID string"},
    {"VolumeMountStatus", "name string, mountPath string, readOnly bool, recursiveReadOnly string"},
    {"ContainerUser", "linux LinuxContainerUser"},
    {"LinuxContainerUser", "uid int64, gid int64, supplementalGroups []int64"},
    {"ResourceStatus", "name string, resources []ResourceHealth"},
    {"ResourceHealth", "resourceID string, health string"},
    {"PodResourceClaimStatus", "name string, resourceClaimName string"},
};

static std::string_view fields_of(std::string_view type)
{
    for (const type_row &row : types) {
        if (row.name == type)
            return row.fields;
    }
    return {};
}

// Takes the next field from the text of a row.
static bool next_field(std::string_view &rest, pod_field &out_field)
{
    if (rest.empty())
        return false;
    size_t end = rest.find(", ");
    std::string_view one = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
    size_t space = one.find(' ');
    out_field = {one.substr(0, space), one.substr(space + 1)};
    return true;
}

std::vector<pod_field> pod_schema_fields(std::string_view type)
{
    std::vector<pod_field> out;
    pod_field field;
    for (std::string_view rest = fields_of(type); next_field(rest, field);)
        out.push_back(field);
    return out;
}

std::string_view pod_schema_type(std::string_view type, std::string_view name)
{
    pod_field field;
    for (std::string_view rest = fields_of(type); next_field(rest, field);) {
        if (field.name == name)
            return field.type;
    }
    return {};
}

std::string_view pod_schema_element(std::string_view type)
{
    if (type.starts_with("[]"))
        return type.substr(2);
    return type.starts_with("map ") ? type.substr(4) : std::string_view();
}

std::string_view pod_schema_nearest(std::string_view type, std::string_view name)
{
    std::vector<std::string_view> names;
    std::vector<std::string> lower;
    for (const pod_field &field : pod_schema_fields(type)) {
        names.push_back(field.name);
        lower.push_back(text_lower(field.name));
    }
    // These names are not within edit distance: nodename for nodeName, container for containers, img for image.
    std::string wanted = text_lower(name);
    for (size_t i = 0; i < names.size(); i++) {
        if (lower[i] == wanted)
            return names[i];
    }
    return text_nearest(name, names);
}

std::vector<std::string_view> pod_schema_types()
{
    std::vector<std::string_view> out;
    for (const type_row &row : types)
        out.push_back(row.name);
    return out;
}

std::string_view pod_schema_type_at(std::string_view path)
{
    std::string_view type = "Pod";
    while (!path.empty() && !type.empty()) {
        if (path.front() == '[') {
            size_t end = path.find(']');
            type = pod_schema_element(type);
            path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
        } else {
            path.remove_prefix(path.front() == '.' ? 1 : 0);
            size_t end = path.find_first_of(".[");
            type = pod_schema_type(type, path.substr(0, end));
            path = end == std::string_view::npos ? std::string_view() : path.substr(end);
        }
    }
    return type;
}

} // namespace etlnode
