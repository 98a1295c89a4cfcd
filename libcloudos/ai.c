/* SPDX-License-Identifier: MIT */
/* Models.  Linked into CloudOS programs. */
#include "call.h"

long cloudos_sys_ai_load_model(const char *model_path, struct ai_config *config)
{
	return CALL(sys_ai_load_model, ARG(model_path), ARG(config));
}

long cloudos_sys_ai_inference(int model_id, const void *input, void *output,
			      size_t size)
{
	return CALL(sys_ai_inference, ARG(model_id), ARG(input), ARG(output),
		    ARG(size));
}

long cloudos_sys_ai_unload_model(int model_id)
{
	return CALL(sys_ai_unload_model, ARG(model_id));
}

int cloudos_ai_load_model(const ai_model_config_t *config)
{
	return (int) CALL(ai_load_model, ARG(config));
}

int cloudos_ai_unload_model(int model_id)
{
	return (int) CALL(ai_unload_model, ARG(model_id));
}

int cloudos_ai_inference(int model_id, const void *input, size_t input_size,
			 void *output, size_t output_size)
{
	return (int) CALL(ai_inference, ARG(model_id), ARG(input), ARG(input_size),
			  ARG(output), ARG(output_size));
}

int cloudos_ai_get_model_info(int model_id, struct ai_model_info *info)
{
	return (int) CALL(ai_get_model_info, ARG(model_id), ARG(info));
}

int cloudos_ai_optimize_model(int model_id, const struct ai_optimization *opts)
{
	return (int) CALL(ai_optimize_model, ARG(model_id), ARG(opts));
}

const ai_operations_t *cloudos_ai_operations(void)
{
	static const ai_operations_t table = {
		.load_model = cloudos_ai_load_model,
		.unload_model = cloudos_ai_unload_model,
		.inference = cloudos_ai_inference,
		.get_model_info = cloudos_ai_get_model_info,
		.optimize_model = cloudos_ai_optimize_model,
	};

	return &table;
}
