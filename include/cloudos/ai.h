/* SPDX-License-Identifier: MIT */
/*
 * Models ("AI/ML operations" and "AI/ML Integration API", preview 0.8.0).
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_AI_H
#define CLOUDOS_AI_H

#include <cloudos/base.h>

/* Model Configuration */
typedef struct ai_model_config {
	char model_path[512];
	char model_type[64];   /* "tensorflow", "pytorch", "onnx", etc. */
	uint32_t memory_limit; /* MiB; 0: none */
	uint32_t gpu_device;
	bool use_gpu;
	uint32_t batch_size;
} ai_model_config_t;

CLOUDOS_OFFSET(ai_model_config_t, model_path, 0);
CLOUDOS_OFFSET(ai_model_config_t, model_type, 512);
CLOUDOS_OFFSET(ai_model_config_t, memory_limit, 576);
CLOUDOS_OFFSET(ai_model_config_t, gpu_device, 580);
CLOUDOS_OFFSET(ai_model_config_t, use_gpu, 584);
CLOUDOS_OFFSET(ai_model_config_t, batch_size, 588);
CLOUDOS_SIZEOF(ai_model_config_t, 592);

/* For sys_ai_load_model.  Set size to sizeof. */
typedef struct ai_config {
	uint32_t size;
	uint32_t memory_limit; /* MiB; 0: none */
	uint32_t gpu_device;
	uint32_t use_gpu; /* 0 or 1 */
	uint32_t batch_size;
	char model_type[64];
} ai_config_t;

CLOUDOS_OFFSET(ai_config_t, size, 0);
CLOUDOS_OFFSET(ai_config_t, memory_limit, 4);
CLOUDOS_OFFSET(ai_config_t, gpu_device, 8);
CLOUDOS_OFFSET(ai_config_t, use_gpu, 12);
CLOUDOS_OFFSET(ai_config_t, batch_size, 16);
CLOUDOS_OFFSET(ai_config_t, model_type, 20);
CLOUDOS_SIZEOF(ai_config_t, 84);

/* Set size to sizeof before the call. */
typedef struct ai_model_info {
	uint32_t size;
	uint32_t batch_size;
	char model_path[512];
	char model_type[64];
	uint64_t input_bytes; /* of one inference */
	uint64_t output_bytes;
	uint64_t memory_bytes; /* in use */
	uint64_t inferences;   /* done so far */
} ai_model_info_t;

CLOUDOS_OFFSET(ai_model_info_t, size, 0);
CLOUDOS_OFFSET(ai_model_info_t, batch_size, 4);
CLOUDOS_OFFSET(ai_model_info_t, model_path, 8);
CLOUDOS_OFFSET(ai_model_info_t, model_type, 520);
CLOUDOS_OFFSET(ai_model_info_t, input_bytes, 584);
CLOUDOS_OFFSET(ai_model_info_t, output_bytes, 592);
CLOUDOS_OFFSET(ai_model_info_t, memory_bytes, 600);
CLOUDOS_OFFSET(ai_model_info_t, inferences, 608);
CLOUDOS_SIZEOF(ai_model_info_t, 616);

/* Set size to sizeof. */
typedef struct ai_optimization {
	uint32_t size;
	uint32_t level;     /* 0: none; higher: more */
	uint32_t threads;   /* 0: as many as there are CPUs */
	uint32_t precision; /* bits of a number; 0: the model's own */
} ai_optimization_t;

CLOUDOS_OFFSET(ai_optimization_t, size, 0);
CLOUDOS_OFFSET(ai_optimization_t, level, 4);
CLOUDOS_OFFSET(ai_optimization_t, threads, 8);
CLOUDOS_OFFSET(ai_optimization_t, precision, 12);
CLOUDOS_SIZEOF(ai_optimization_t, 16);

/* AI Operations */
typedef struct ai_operations {
	int (*load_model)(const ai_model_config_t *config);
	int (*unload_model)(int model_id);
	int (*inference)(int model_id, const void *input, size_t input_size,
			 void *output, size_t output_size);
	int (*get_model_info)(int model_id, struct ai_model_info *info);
	int (*optimize_model)(int model_id, const struct ai_optimization *opts);
} ai_operations_t;

CLOUDOS_BEGIN_DECLS

/* ---- CloudOS-Specific Extensions: AI/ML operations ---- */

/* The model's id.  config is borrowed and not changed. */
CLOUDOS_API long cloudos_sys_ai_load_model(const char *model_path,
					   struct ai_config *config);

/* size: bytes of input, and the room in output. */
CLOUDOS_API long cloudos_sys_ai_inference(int model_id, const void *input, void *output,
					  size_t size);
CLOUDOS_API long cloudos_sys_ai_unload_model(int model_id);

/* ---- AI/ML Integration API ---- */

/* The model's id. */
CLOUDOS_API int cloudos_ai_load_model(const ai_model_config_t *config);
CLOUDOS_API int cloudos_ai_unload_model(int model_id);

/* Bytes of output that were written. */
CLOUDOS_API int cloudos_ai_inference(int model_id, const void *input, size_t input_size,
				     void *output, size_t output_size);
CLOUDOS_API int cloudos_ai_get_model_info(int model_id, struct ai_model_info *info);
CLOUDOS_API int cloudos_ai_optimize_model(int model_id,
					  const struct ai_optimization *opts);

/* The functions above as the specification's table; never NULL, never freed. */
CLOUDOS_API const ai_operations_t *cloudos_ai_operations(void);

CLOUDOS_END_DECLS

#endif
